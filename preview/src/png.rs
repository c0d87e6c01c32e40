//! PNG, streamed: the rows of the `png` crate go straight into the shrinker, interlaced or not.
//!
//! Alpha, of the palette and tRNS too, is laid on white row by row: averaging afterwards then weighs every pixel by
//! its opacity, as it should. 16-bit samples lose their low byte. What follows behind the
//! pixels does not matter, such as wrong frames of an animation; where rows are missing, the rest is shown with a warning.

mod head;

use std::io::{BufRead, Seek, SeekFrom};

use png::{
    BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Info, Limits, ScaledFloat, Transformations,
};

use head::Head;

use crate::error::check_dimensions;
use crate::profile::Space;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{EXIF_BYTES_MAX, Format, PNG_CHUNK_BYTES_MAX, PreviewError, STREAMED_PIXELS_MAX, Warning, exif};

/// The most bytes of its pixels as they are stored, before they are packed: of any file, and for each of its bytes. Flat areas are packed a
/// thousandfold, and each byte takes its time.
const STORED_BYTES_MIN: u64 = 256_000_000;
const STORED_PER_BYTE: u64 = 100;

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    let head = Head::read(input)?;
    let mut decoder = decoder(head.still(input)?);
    let (width, height) = decoder.read_header_info().map_err(from_png)?.size();
    check_dimensions(Format::Png, (width, height), STREAMED_PIXELS_MAX)?;
    let mut reader = decoder.read_info().map_err(from_png)?;
    check_stored(reader.info(), file_len)?;
    let (kind, depth) = reader.output_color_type();
    let kind = match (kind, depth) {
        (
            ColorType::Grayscale | ColorType::GrayscaleAlpha | ColorType::Rgb | ColorType::Rgba,
            BitDepth::Eight,
        ) => kind,
        _ => return Err(PreviewError::damaged(Format::Png, "it has no palette")),
    };
    let grey = matches!(kind, ColorType::Grayscale | ColorType::GrayscaleAlpha);
    let mut shrinker = Shrinker::new((width, height), if grey { 1 } else { 3 }, side);
    let mut opaque = Vec::new();
    let mut places = places(width, height, reader.info().interlaced);
    let (mut cut, mut rows) = (None, 0);
    loop {
        let row = match reader.next_interlaced_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                cut = Some(from_png(error));
                break;
            }
        };
        let pixels = match kind {
            ColorType::GrayscaleAlpha => on_white::<2>(row.data(), &mut opaque),
            ColorType::Rgba => on_white::<4>(row.data(), &mut opaque),
            _ => row.data(),
        };
        match places.next() {
            Some((y, None)) => shrinker.add_row(y, pixels),
            Some((y, Some(columns))) => shrinker.add_sparse(y, columns, pixels),
            None => return Err(PreviewError::damaged(Format::Png, "it has too many rows")),
        }
        rows += 1;
    }
    // The pixels are all there, or the file is damaged in them: it goes on if there is something to be shown.
    let warning = match (cut, places.next()) {
        (_, None) => None,
        (None, Some(_)) => Some(Warning::Incomplete),
        (Some(PreviewError::Damaged(..)), Some(_)) if rows > 0 => Some(Warning::Incomplete),
        (Some(error), Some(_)) => return Err(error),
    };
    // What is behind them may tell the orientation.
    drop(reader.finish());
    let info = reader.info();
    let exif = info.exif_metadata.as_deref();
    let orientation = exif.and_then(|exif| exif::orientation(&exif[..exif.len().min(EXIF_BYTES_MAX)]));
    let plane = match warning {
        None => shrinker.finish(),
        Some(_) => shrinker.finish_partly(self::places(width, height, info.interlaced).take(rows)),
    };
    Ok(Decoded {
        width,
        height,
        told: None,
        orientation: orientation.or(head.orientation).unwrap_or_default(),
        planes: vec![plane],
        colour: if grey { Colour::Grey } else { Colour::Rgb },
        space: space(info),
        warning,
    })
}

/// Refuses pixels that cost more time than the file is worth.
fn check_stored(info: &Info<'_>, file_len: u64) -> Result<(), PreviewError> {
    let row = u64::try_from(info.raw_row_length()).unwrap_or(u64::MAX);
    let (actual, max) = (row.saturating_mul(info.height.into()), file_len.saturating_mul(STORED_PER_BYTE));
    let max = max.max(STORED_BYTES_MIN);
    if actual > max {
        let what = "size of its pixels in bytes, for the size of the file";
        return Err(PreviewError::TooLarge { what, actual, max });
    }
    Ok(())
}

fn decoder<R: BufRead + Seek>(input: R) -> Decoder<R> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    let mut decoder = Decoder::new_with_options(input, options);
    decoder.set_limits(Limits { bytes: PNG_CHUNK_BYTES_MAX });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder
}

/// The colours of the image, by the chunk that counts most (PNG third edition section 4.3).
fn space(info: &Info<'_>) -> Option<Space> {
    if let Some(codes) =
        info.coding_independent_code_points.as_ref().filter(|codes| codes.is_video_full_range_image)
    {
        return Some(Space::Codes { primaries: codes.color_primaries, transfer: codes.transfer_function });
    }
    if let Some(icc) = &info.icc_profile {
        return Some(Space::Icc(icc.to_vec()));
    }
    if info.srgb.is_some() || (info.gama_chunk.is_none() && info.chrm_chunk.is_none()) {
        return None;
    }
    let gamma = info.gama_chunk.map(ScaledFloat::into_value);
    let chromaticities = info.chrm_chunk.map(|points| {
        [points.white, points.red, points.green, points.blue].map(|(x, y)| (x.into_value(), y.into_value()))
    });
    Some(Space::Measured { gamma, chromaticities })
}

/// First column, distance of columns, first row, distance of rows, of every pass (PNG section 8.2).
const ADAM7: [(u32, u32, u32, u32); 7] =
    [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];

/// The row of the image, and in a pass of an interlaced one the first column and the distance of columns.
type Place = (u32, Option<(u32, u32)>);

/// Where the rows of the file belong, in their order. Passes without pixels have no rows.
fn places(width: u32, height: u32, interlaced: bool) -> Box<dyn Iterator<Item = Place>> {
    if !interlaced {
        return Box::new((0..height).map(|y| (y, None)));
    }
    Box::new(ADAM7.into_iter().filter(move |pass| pass.0 < width).flat_map(move |(x, step_x, y, step_y)| {
        (y..height).step_by(to_usize(step_y)).map(move |y| (y, Some((x, step_x))))
    }))
}

/// Lays pixels of `N` samples, the last of which is the opacity, on white.
pub(crate) fn on_white<'a, const N: usize>(pixels: &[u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    out.clear();
    out.resize(pixels.len() / N * (N - 1), 0);
    for (pixel, opaque) in pixels.chunks_exact(N).zip(out.chunks_exact_mut(N - 1)) {
        let alpha = u32::from(pixel[N - 1]);
        for (sample, &colour) in opaque.iter_mut().zip(pixel) {
            // Divides by 255, rounding, without a division: exact below 65,536.
            let sum = u32::from(colour) * alpha + 255 * (255 - alpha) + 128;
            *sample = ((sum + (sum >> 8)) >> 8).to_le_bytes()[0];
        }
    }
    out
}

fn from_png(error: DecodingError) -> PreviewError {
    match error {
        DecodingError::IoError(error) => PreviewError::from_read(Format::Png, error),
        DecodingError::LimitsExceeded => PreviewError::TooLarge {
            what: "size of the metadata in bytes",
            actual: u64::try_from(PNG_CHUNK_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1),
            max: u64::try_from(PNG_CHUNK_BYTES_MAX).unwrap_or(u64::MAX),
        },
        // Their texts are for programmers.
        DecodingError::Format(_) | DecodingError::Parameter(_) => {
            PreviewError::damaged(Format::Png, "a chunk of it is invalid")
        }
    }
}
