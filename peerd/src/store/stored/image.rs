//! An image of one's own, and one on its way to the directory, as they are stored.

use dos_protocol::{
    ImageId, ImageNo, Visibility,
    directory::{Preview, Publish},
    model::{ImageInfo, Original, PreviewInfo},
    name::NameError,
    record::{Album, Described, ImageRecord, Taken, Thumb},
    taken::NoMoment,
    thumbhash::NoThumbHash,
};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use super::{
    CopyRow, Stored,
    text::{format, format_text},
};

/// See [`ImageInfo`]. What one may do with it is not stored: it is one's own.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct ImageRow {
    no: u64,
    owner: String,
    name: String,
    original: OriginalRow,
    sealed: CopyRow,
    preview: PreviewInfoRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<RecordRow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

/// See [`Publish`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct PublicationRow {
    name: String,
    original: OriginalRow,
    sealed: CopyRow,
    preview: PreviewRow,
    replace: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<RecordRow>,
}

/// See [`ImageRecord`].
#[derive(Debug, Serialize, Deserialize)]
struct RecordRow {
    revision: u64,
    preview_hash: ByteArray<32>,
    signature: ByteArray<64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    album: Option<AlbumRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<DescribedRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbhash: Option<ThumbRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<TakenRow>,
}

/// See [`Thumb`].
#[derive(Debug, Serialize, Deserialize)]
struct ThumbRow {
    hash: ByteBuf,
    signature: ByteArray<64>,
}

/// See [`Taken`].
#[derive(Debug, Serialize, Deserialize)]
struct TakenRow {
    at: String,
    signature: ByteArray<64>,
}

/// See [`Described`].
#[derive(Debug, Serialize, Deserialize)]
struct DescribedRow {
    text: String,
    signature: ByteArray<64>,
}

/// See [`Album`].
#[derive(Debug, Serialize, Deserialize)]
struct AlbumRow {
    name: String,
    signature: ByteArray<64>,
}

/// Not as this or a newer release has written it.
#[derive(Debug)]
struct BadRow;

impl From<NameError> for BadRow {
    fn from(_: NameError) -> Self {
        Self
    }
}

impl From<NoThumbHash> for BadRow {
    fn from(_: NoThumbHash) -> Self {
        Self
    }
}

impl From<NoMoment> for BadRow {
    fn from(_: NoMoment) -> Self {
        Self
    }
}

impl From<ImageRecord> for RecordRow {
    fn from(record: ImageRecord) -> Self {
        Self {
            revision: record.revision,
            preview_hash: ByteArray::new(record.preview_hash),
            signature: ByteArray::new(*record.signature.as_bytes()),
            album: record.album.map(|album| AlbumRow {
                name: album.name.to_string(),
                signature: ByteArray::new(*album.signature.as_bytes()),
            }),
            description: record.description.map(|described| DescribedRow {
                text: described.text.to_string(),
                signature: ByteArray::new(*described.signature.as_bytes()),
            }),
            thumbhash: record.thumbhash.map(|thumb| ThumbRow {
                hash: ByteBuf::from(thumb.hash.as_bytes()),
                signature: ByteArray::new(*thumb.signature.as_bytes()),
            }),
            taken: record.taken.map(|taken| TakenRow {
                at: taken.at.to_string(),
                signature: ByteArray::new(*taken.signature.as_bytes()),
            }),
        }
    }
}

impl TryFrom<RecordRow> for ImageRecord {
    type Error = BadRow;

    fn try_from(row: RecordRow) -> Result<Self, BadRow> {
        let album = |row: AlbumRow| {
            Ok::<_, BadRow>(Album { name: row.name.parse()?, signature: row.signature.into_array().into() })
        };
        let described = |row: DescribedRow| {
            Ok::<_, BadRow>(Described {
                text: row.text.parse()?,
                signature: row.signature.into_array().into(),
            })
        };
        let thumb = |row: ThumbRow| {
            let hash = row.hash.into_vec().try_into()?;
            Ok::<_, BadRow>(Thumb { hash, signature: row.signature.into_array().into() })
        };
        let taken = |row: TakenRow| {
            Ok::<_, BadRow>(Taken { at: row.at.parse()?, signature: row.signature.into_array().into() })
        };
        Ok(Self {
            revision: row.revision,
            preview_hash: row.preview_hash.into_array(),
            signature: row.signature.into_array().into(),
            album: row.album.map(album).transpose()?,
            description: row.description.map(described).transpose()?,
            thumbhash: row.thumbhash.map(thumb).transpose()?,
            taken: row.taken.map(taken).transpose()?,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct OriginalRow {
    image_id: ByteArray<32>,
    format: String,
    width: u32,
    height: u32,
    bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PreviewInfoRow {
    format: String,
    width: u32,
    height: u32,
    bytes: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct PreviewRow {
    format: String,
    width: u32,
    height: u32,
    data: ByteBuf,
}

impl From<Original> for OriginalRow {
    fn from(original: Original) -> Self {
        Self {
            image_id: ByteArray::new(*original.image_id.as_bytes()),
            format: format_text(original.format).into(),
            width: original.width,
            height: original.height,
            bytes: original.bytes,
        }
    }
}

impl From<OriginalRow> for Original {
    fn from(row: OriginalRow) -> Self {
        Self {
            image_id: ImageId::from(row.image_id.into_array()),
            format: format(&row.format),
            width: row.width,
            height: row.height,
            bytes: row.bytes,
        }
    }
}

impl Stored for ImageInfo {
    const WHAT: &'static str = "image";
    type Row = ImageRow;

    fn row(&self) -> ImageRow {
        let PreviewInfo { format, width, height, bytes } = self.preview;
        ImageRow {
            no: self.no.0,
            owner: self.owner.to_string(),
            name: self.name.to_string(),
            original: self.original.into(),
            sealed: self.sealed.into(),
            preview: PreviewInfoRow { format: format_text(format).into(), width, height, bytes },
            record: self.record.clone().map(Into::into),
            private: self.visibility == Visibility::Private,
        }
    }

    fn from_row(row: ImageRow) -> Option<Self> {
        let PreviewInfoRow { format: text, width, height, bytes } = row.preview;
        Some(Self {
            no: ImageNo(row.no),
            owner: row.owner.parse().ok()?,
            name: row.name.parse().ok()?,
            original: row.original.into(),
            sealed: row.sealed.into(),
            preview: PreviewInfo { format: format(&text), width, height, bytes },
            access: None,
            record: row.record.map(TryInto::try_into).transpose().ok()?,
            signature: None,
            visibility: if row.private { Visibility::Private } else { Visibility::Listed },
            added_at: None,
        })
    }
}

impl Stored for Publish {
    const WHAT: &'static str = "publication";
    type Row = PublicationRow;

    fn row(&self) -> PublicationRow {
        let Preview { format, width, height, data } = &self.preview;
        PublicationRow {
            name: self.name.to_string(),
            original: self.original.into(),
            sealed: self.sealed.into(),
            preview: PreviewRow {
                format: format_text(*format).into(),
                width: *width,
                height: *height,
                data: ByteBuf::from(data.clone()),
            },
            replace: self.replace,
            record: self.record.clone().map(Into::into),
        }
    }

    fn from_row(row: PublicationRow) -> Option<Self> {
        let PreviewRow { format: text, width, height, data } = row.preview;
        Some(Self {
            name: row.name.parse().ok()?,
            original: row.original.into(),
            sealed: row.sealed.into(),
            preview: Preview { format: format(&text), width, height, data: data.into_vec() },
            replace: row.replace,
            record: row.record.map(TryInto::try_into).transpose().ok()?,
        })
    }
}
