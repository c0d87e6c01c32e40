//! Images: what is known of an original, its sealed copy and its preview, and who may see that it is there.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator;

use super::Access;
use crate::{
    id::{ImageId, ImageNo, PeerId, SealedHash},
    kind::known_or_none,
    name::{AlbumName, Description, ImageName},
    record::{ImageRecord, SignatureState},
    taken::TakenAt,
    thumbhash::ThumbHash,
    time::Timestamp,
};

/// The formats of an original.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF; its first frame counts.
    Gif,
    /// TIFF.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// Quite OK Image.
    Qoi,
    /// Netpbm.
    Pnm,
    /// Truevision TGA.
    Tga,
    /// Icons and cursors of Windows.
    Ico,
    /// JPEG XL.
    Jxl,
    /// AVIF.
    Avif,
    /// HEIF with HEVC.
    Heic,
    /// Scalable Vector Graphics.
    Svg,
    /// Photoshop.
    Psd,
    /// A camera's raw format.
    Raw,
    /// PDF.
    Pdf,
    /// JPEG 2000.
    Jp2,
    /// OpenEXR.
    Exr,
    /// Radiance HDR.
    Hdr,
    /// DirectDraw Surface.
    Dds,
    /// GIMP.
    Xcf,
    /// DjVu.
    Djvu,
    /// Encapsulated PostScript.
    Eps,
    /// Any other file.
    Other,
    /// One that only a newer program knows.
    #[serde(other)]
    Unknown,
}

impl Format {
    /// The format's name, as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The format's name in what an owner signs. The first release knows four formats and reads all others as unknown, so that
    /// is what is signed of them: a record holds for every program, whichever formats it knows.
    #[must_use]
    pub fn signed_name(self) -> &'static str {
        match self {
            Self::Jpeg | Self::Png | Self::WebP | Self::Gif => self.as_str(),
            _ => Self::Unknown.as_str(),
        }
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::iter().find(|format| *format != Self::Unknown && format.as_str() == text).ok_or(())
    }
}

/// What is known of an original without seeing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// The BLAKE3 hash of its bytes.
    pub image_id: ImageId,
    /// Its format.
    pub format: Format,
    /// Its width in pixels, as displayed; 0 if that is not known.
    pub width: u32,
    /// Its height in pixels, as displayed; 0 if that is not known.
    pub height: u32,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The sealed copy of an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SealedCopy {
    /// The BLAKE3 hash of the sealed file.
    pub hash: SealedHash,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Original {
    /// Width and height, if they are known.
    #[must_use]
    pub fn size(&self) -> Option<(u32, u32)> {
        (self.width > 0 && self.height > 0).then_some((self.width, self.height))
    }
}

/// What is known of a preview without seeing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewInfo {
    /// Its format.
    pub format: Format,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its size in bytes.
    pub bytes: u32,
}

/// An image as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The directory's number for it.
    pub no: ImageNo,
    /// Whose it is.
    pub owner: PeerId,
    /// Its name.
    pub name: ImageName,
    /// What it is.
    pub original: Original,
    /// Its sealed copy.
    pub sealed: SealedCopy,
    /// Its preview.
    pub preview: PreviewInfo,
    /// What the asking peer may do with it; `None` for one's own.
    pub access: Option<Access>,
    /// The owner's word for all of it, if the owner has given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<ImageRecord>,
    /// What peerd thinks of that, for dosctl. What the directory says here does not count.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    pub signature: Option<SignatureState>,
    /// Who may see it.
    #[serde(default, skip_serializing_if = "Visibility::is_listed")]
    pub visibility: Visibility,
    /// When the directory got it, by its clock; an earlier directory does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
}

impl ImageInfo {
    /// The album that the image is in, unless what the directory shows of it contradicts its owner.
    #[must_use]
    pub fn album(&self) -> Option<&AlbumName> {
        let is_bad = self.signature.is_some_and(SignatureState::is_bad);
        self.record.as_ref().filter(|_| !is_bad).and_then(ImageRecord::album)
    }

    /// What is to be seen on the image, on the same condition.
    #[must_use]
    pub fn description(&self) -> Option<&Description> {
        let is_bad = self.signature.is_some_and(SignatureState::is_bad);
        self.record.as_ref().filter(|_| !is_bad).and_then(ImageRecord::description)
    }

    /// The ThumbHash of the preview, on the same condition.
    #[must_use]
    pub fn thumbhash(&self) -> Option<&ThumbHash> {
        let is_bad = self.signature.is_some_and(SignatureState::is_bad);
        self.record.as_ref().filter(|_| !is_bad).and_then(ImageRecord::thumbhash)
    }

    /// When the picture was taken, on the same condition.
    #[must_use]
    pub fn taken_at(&self) -> Option<TakenAt> {
        let is_bad = self.signature.is_some_and(SignatureState::is_bad);
        self.record.as_ref().filter(|_| !is_bad).and_then(ImageRecord::taken_at)
    }
}

/// Who may see that an image is there, its name and its preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Visibility {
    /// Every peer of the directory.
    #[default]
    Listed,
    /// Its owner and the peers that have a grant for it. A kind that a newer program knows is read as this one.
    #[serde(other)]
    Private,
}

impl Visibility {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    // The form that serde asks for.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_listed(&self) -> bool {
        *self == Self::Listed
    }
}

impl FromStr for Visibility {
    type Err = UnknownVisibility;

    fn from_str(text: &str) -> Result<Self, UnknownVisibility> {
        [Self::Listed, Self::Private].into_iter().find(|one| one.as_str() == text).ok_or(UnknownVisibility)
    }
}

/// Neither `listed` nor `private`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an image is listed or private")]
pub struct UnknownVisibility;
