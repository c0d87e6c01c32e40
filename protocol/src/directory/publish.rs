//! Images and their previews, made known to the directory and asked of it.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageId, ImageNo, SealedHash},
    model::{Format, ImageInfo, ImagePath, Original, PreviewInfo, SealedCopy, Visibility},
    name::ImageName,
    record::ImageRecord,
};

/// See [`super::Op::Publish`]. Sent again with the same sealed copy it changes nothing and gets the same answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// Under which name.
    pub name: ImageName,
    /// What it is.
    pub original: Original,
    /// Its sealed copy.
    pub sealed: SealedCopy,
    /// Its preview.
    pub preview: Preview,
    /// Takes the place of an image of the same name, whose rights go on.
    pub replace: bool,
    /// The owner's word for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<ImageRecord>,
}

/// A preview.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Its format.
    pub format: Format,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its bytes, at most [`crate::model::PreviewSize::bytes_max`].
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Preview({}, {}x{}, {} bytes)",
            self.format.as_str(),
            self.width,
            self.height,
            self.data.len()
        )
    }
}

impl Preview {
    /// What is known of it without seeing it.
    #[must_use]
    pub fn info(&self) -> PreviewInfo {
        let bytes = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        PreviewInfo { format: self.format, width: self.width, height: self.height, bytes }
    }
}

/// See [`super::Answer::Preview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewOf {
    /// Of which image.
    pub path: ImagePath,
    /// What the original is.
    pub image_id: ImageId,
    /// The preview itself.
    pub preview: Preview,
    /// The image, so that the preview can be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<ImageInfo>>,
}

/// See [`super::Op::Sign`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Which image.
    pub image: ImageNo,
    /// Its sealed copy: another one is refused as stale.
    pub sealed: SealedHash,
    /// The preview that is signed; it takes the place of the one that is there.
    pub preview: Preview,
    /// The owner's word for the image.
    pub record: ImageRecord,
}

/// See [`super::Op::PublishAs`]: a request of its own, so that a directory that knows no private images and no albums publishes
/// nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishAs {
    /// As in [`super::Op::Publish`]; its record may name an album.
    pub publish: Publish,
    /// Who may see it, also if it takes the place of another; as with [`super::Op::Publish`], if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// See [`super::Op::Set`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// Which image.
    pub image: ImageNo,
    /// Who may see it; as it is, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// The owner's word for the image, with the album that it is in from now on; as it is, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<ImageRecord>,
}
