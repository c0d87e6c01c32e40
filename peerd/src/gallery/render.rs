//! How an original is shown: as it is, as the largest picture of it that can be made here, or not at all.
//!
//! What always holds: how is known before anything is spent; an original that is rendered is in memory alone, one at a time, bounded
//! in size, and gone when its picture is made.

use std::io::Cursor;

use dos_preview::{SCALED_PIXELS_MAX, scale};
use dos_protocol::{
    Code, WireError,
    model::{Format, ImageInfo},
};

use super::{limits::RENDERED_BYTES_MAX, words::shown_as};

/// How an original is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Showing {
    /// As it is, under this media type.
    AsIs(&'static str),
    /// As a picture that is made of it.
    Rendered,
    /// Only as a file to save.
    File,
}

/// How this one is shown.
pub(super) fn showing(image: &ImageInfo) -> Showing {
    if let Some(kind) = shown_as(image.original.format) {
        return Showing::AsIs(kind);
    }
    let is_decoded = match image.original.format {
        Format::Tiff | Format::Qoi | Format::Pnm | Format::Tga | Format::Jxl | Format::Psd | Format::Raw => {
            true
        }
        Format::Heic => dos_preview::decodes_heic(),
        _ => false,
    };
    // Of what its owner's daemon could not decode, which has the same decoders, no size is known.
    let is_known = image.original.size().is_some();
    if is_decoded && is_known && image.original.bytes <= RENDERED_BYTES_MAX {
        Showing::Rendered
    } else {
        Showing::File
    }
}

/// Makes a picture of an original.
///
/// # Errors
/// `invalid` if it cannot be decoded.
pub(super) async fn rendered(original: Vec<u8>) -> Result<Vec<u8>, WireError> {
    let side = SCALED_PIXELS_MAX;
    let made =
        tokio::task::spawn_blocking(move || scale(Cursor::new(original), (side, side))?.to_jpeg()).await;
    let failed = |why: String| {
        WireError::new(Code::Invalid, "no picture can be made of the original: it can be saved as a file")
            .caused_by(why)
    };
    made.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}
