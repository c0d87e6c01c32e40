//! An image of one's own, and one on its way to the directory, as they are stored.

use dos_protocol::{
    ImageId, ImageNo,
    directory::{Preview, Publish},
    model::{ImageInfo, Original, PreviewInfo},
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
}

/// See [`Publish`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct PublicationRow {
    name: String,
    original: OriginalRow,
    sealed: CopyRow,
    preview: PreviewRow,
    replace: bool,
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
        })
    }
}
