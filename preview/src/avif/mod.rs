//! AVIF: pictures in a HEIF container whose tiles are coded with AV1, decoded by `re_rav1d`: the Rust port of dav1d.
//!
//! Tiles are decoded whole, one at a time, and their planes averaged on the way to the size that is wanted; colours are put together from
//! there. What a tile takes in memory is known from its header, before it is decoded, and grows with the file, so that a small file costs
//! little. Of what comes in layers the last one is shown, of a sequence its still picture. Film grain is not added: previews are too small for it.

mod canvas;
mod frame;
mod header;

use std::io::{BufRead, Seek};

use canvas::Canvas;
use frame::Frame;
use header::Header;

use crate::error::{check_dimensions, plain};
use crate::heif::{File, Picture, properties::Codes};
use crate::raster::{Colour, Decoded, Matrix};
use crate::{PreviewError, STREAMED_PIXELS_MAX};

/// What a tile and its opacity may take in memory for any file, for each of its bytes besides, and for the largest. A picture of a camera
/// has 2 to 40 pixels to a byte, of 1.5 to 6 bytes.
const MEMORY_MIN: u64 = 36 << 20;
const MEMORY_PER_BYTE: u64 = 128;
const MEMORY_MAX: u64 = 512 << 20;
/// Pixels of all tiles together: for any file, and for each of its bytes. They cost time.
const PIXELS_MIN: u64 = 24_000_000;
const PIXELS_PER_BYTE: u64 = 128;

/// Decodes a picture of a file whose tiles are coded with AV1.
pub(crate) fn show<R: BufRead + Seek>(
    file: &mut File<'_, R>,
    picture: &Picture,
    side: u32,
) -> Result<Decoded, PreviewError> {
    check_dimensions(file.format, picture.size, STREAMED_PIXELS_MAX)?;
    let mut budget = Budget::of(file.len);
    let shrinks_much = picture.size.0.max(picture.size.1) / 4 >= side;
    let (mut canvas, mut colours) = (None, None);
    for (index, tile) in (0u32..).zip(&picture.tiles) {
        let opacity = match picture.opacity.get(crate::shrink::to_usize(index)) {
            Some(id) => Some(read(file, *id, &mut budget, None, shrinks_much)?),
            None => None,
        };
        let frame = read(file, *tile, &mut budget, picture.codes, shrinks_much)?;
        let canvas = match &mut canvas {
            Some(canvas) => canvas,
            None => {
                colours = Some(frame.header);
                canvas.insert(Canvas::new(picture, &frame, side))
            }
        };
        let (width, height) = frame.size();
        let at = (index % picture.columns * width, index / picture.columns * height);
        if !canvas.put(&frame, opacity.as_ref(), at) {
            return Err(PreviewError::damaged(file.format, "its tiles are of several kinds"));
        }
        budget.tile_is_done();
    }
    let (Some(canvas), Some(header)) = (canvas, colours) else {
        return Err(PreviewError::damaged(file.format, "it has no tiles"));
    };
    if !canvas.is_covered() {
        return Err(PreviewError::damaged(file.format, "its tiles do not cover it"));
    }
    let (width, height) = canvas.size();
    Ok(Decoded {
        width,
        height,
        told: None,
        orientation: picture.orientation,
        colour: colour(&header, picture.codes)?,
        planes: canvas.finish(),
        space: picture.space((header.primaries.into(), header.transfer.into())),
        warning: None,
    })
}

/// What may be spent on a file.
#[derive(Debug)]
struct Budget {
    bytes: u64,
    bytes_left: u64,
    pixels: u64,
    pixels_left: u64,
}

impl Budget {
    fn of(file_len: u64) -> Self {
        let bytes = MEMORY_MIN.saturating_add(file_len.saturating_mul(MEMORY_PER_BYTE)).min(MEMORY_MAX);
        let pixels = PIXELS_MIN.saturating_add(file_len.saturating_mul(PIXELS_PER_BYTE));
        let pixels = pixels.min(STREAMED_PIXELS_MAX);
        Self { bytes, bytes_left: bytes, pixels, pixels_left: pixels }
    }

    /// Takes what a tile costs, or refuses it.
    fn take(&mut self, header: &Header) -> Result<u32, PreviewError> {
        let pixels = u64::from(header.size.0) * u64::from(header.size.1);
        let bytes = pixels.saturating_mul(header.bytes_a_pixel());
        let refused = |what, actual: u64, max: u64| Err(PreviewError::TooLarge { what, actual, max });
        let Some(bytes_left) = self.bytes_left.checked_sub(bytes) else {
            let actual = (self.bytes - self.bytes_left).saturating_add(bytes);
            return refused("memory for its pixels in bytes, for the size of the file", actual, self.bytes);
        };
        let Some(pixels_left) = self.pixels_left.checked_sub(pixels) else {
            let actual = (self.pixels - self.pixels_left).saturating_add(pixels);
            return refused("number of pixels for the size of the file", actual, self.pixels);
        };
        (self.bytes_left, self.pixels_left) = (bytes_left, pixels_left);
        Ok(u32::try_from(pixels).unwrap_or(u32::MAX))
    }

    /// Its memory is free again.
    fn tile_is_done(&mut self) {
        self.bytes_left = self.bytes;
    }
}

/// Decodes a tile; `codes` are what the container says of its colours.
fn read<R: BufRead + Seek>(
    file: &mut File<'_, R>,
    id: u32,
    budget: &mut Budget,
    codes: Option<Codes>,
    shrinks_much: bool,
) -> Result<Frame, PreviewError> {
    let data = file.data_of(id)?;
    let damaged = |why: &str| PreviewError::damaged(file.format, why);
    let header = Header::read(&data).ok_or_else(|| damaged("a picture in it has no proper header"))?;
    check_dimensions(file.format, header.size, STREAMED_PIXELS_MAX)?;
    let pixels = budget.take(&header)?;
    let full = codes.map_or(header.full, |codes| codes.full);
    Frame::decode(data, Header { full, ..header }, pixels, shrinks_much).map_err(|why| damaged(plain(&why)))
}

/// How samples are put together to colours; what the container says goes before what the stream says.
fn colour(header: &Header, codes: Option<Codes>) -> Result<Colour, PreviewError> {
    if header.chroma.is_none() {
        return Ok(Colour::Grey);
    }
    let (matrix, primaries) = codes
        .map_or((header.matrix.into(), header.primaries.into()), |codes| (codes.matrix, codes.primaries));
    // ITU-T H.273 table 4.
    Ok(Colour::Video(match matrix {
        0 if header.chroma == Some((0, 0)) => Matrix::Green,
        1 => Matrix::Bt709,
        // Nothing told is what most encoders do.
        2 | 5 | 6 => Matrix::Bt601,
        4 => Matrix::Fcc,
        7 => Matrix::Smpte240,
        8 => Matrix::YCgCo,
        9 => Matrix::Bt2020,
        12 if primaries == 1 => Matrix::Bt709,
        12 if primaries == 9 => Matrix::Bt2020,
        _ => return Err(PreviewError::Unsupported("AVIF with colours of a rare kind")),
    }))
}
