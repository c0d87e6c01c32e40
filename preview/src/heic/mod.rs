//! HEIC: pictures of phones, coded with HEVC. There is no decoder here that could be given away with this project: where the system has the
//! programs of libheif, one of them decodes the picture, in a process of its own ([`helper`]); else the thumbnail in the file is shown, if that is
//! a JPEG.
//!
//! Why a process, and not the library: HEVC is decoded by C and C++ that reads what strangers send. There it can crash, take the memory
//! and the time that it is given, and write to no file, whatever happens; and nothing here needs `unsafe`.

mod helper;

use std::io::{BufRead, Cursor, Seek};

use crate::heif::{File, Picture};
use crate::jpeg;
use crate::raster::Decoded;
use crate::{PreviewError, STREAMED_PIXELS_MAX, Warning, raw};

/// The most bytes of a file that is handed over: it is held in memory. Series of a phone reach 40 MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Pixels: for any file, and for each of its bytes. A picture of a phone has 2 to 20 to a byte.
const PIXELS_MIN: u64 = 24_000_000;
const PIXELS_PER_BYTE: u64 = 100;

/// Whether there is a program that decodes it.
pub(crate) fn is_decoded() -> bool {
    helper::installed().is_some()
}

/// Decodes a picture of a file whose tiles are coded with HEVC.
pub(crate) fn show<R: BufRead + Seek>(
    file: &mut File<'_, R>,
    picture: &Picture,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let pixels = u64::from(picture.size.0) * u64::from(picture.size.1);
    let pixels_max = file.len.saturating_mul(PIXELS_PER_BYTE).saturating_add(PIXELS_MIN);
    let pixels_max = pixels_max.min(STREAMED_PIXELS_MAX);
    let too_large = |what, actual, max| PreviewError::TooLarge { what, actual, max };
    let outcome = if pixels > pixels_max {
        Err(too_large("number of pixels for the size of the file", pixels, pixels_max))
    } else if file.len > FILE_BYTES_MAX {
        Err(too_large("size of the picture in bytes", file.len, FILE_BYTES_MAX))
    } else {
        by_helper(file, pixels, side)
    };
    match outcome {
        Err(PreviewError::Io(error)) => Err(error.into()),
        // It is upright already.
        Ok(image) => Ok(image),
        Err(why) => thumbnail(file, picture, side)?.ok_or(why),
    }
}

fn by_helper<R: BufRead + Seek>(
    file: &mut File<'_, R>,
    pixels: u64,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let tools = helper::installed().ok_or(PreviewError::Unsupported(
        "HEIC needs the programs of libheif (heif-convert), which are not installed",
    ))?;
    let format = file.format;
    let decoded = helper::decode(tools, file.with_one_picture()?, pixels).map_err(|why| match why {
        helper::Failure::Io(error) => PreviewError::Unsupported(helper::unusable(&error)),
        helper::Failure::Refused => PreviewError::damaged(format, "libheif cannot decode it"),
        helper::Failure::TooLong => PreviewError::damaged(format, "libheif does not come to an end with it"),
    })?;
    jpeg::decode(&mut Cursor::new(decoded), side)
}

/// The thumbnail of a picture, in the place of it.
fn thumbnail<R: BufRead + Seek>(
    file: &mut File<'_, R>,
    picture: &Picture,
    side: u32,
) -> Result<Option<Decoded>, PreviewError> {
    let mut found = None;
    for id in file.thumbnails() {
        let data = file.data_of(id)?;
        found = found.or(jpeg::decode(&mut Cursor::new(data), side).ok());
    }
    if found.is_none()
        && let Some(id) = file.exif()
    {
        let data = file.data_of(id)?;
        // Where its TIFF structure begins comes first.
        let start = data.first_chunk().map(|start| u64::from(u32::from_be_bytes(*start)) + 4);
        found = start.and_then(|start| raw::in_exif(&data, start, side));
    }
    Ok(found.map(|small| Decoded {
        told: Some(picture.size),
        orientation: picture.orientation,
        warning: Some(Warning::Thumbnail),
        ..small
    }))
}
