//! BMP, QOI, Netpbm, TGA and icons: the `image` crate decodes them whole, and the rows go into the shrinker.

use std::io::{BufRead, Seek, SeekFrom};

use image::codecs::{bmp::BmpDecoder, ico::IcoDecoder, pnm::PnmDecoder, qoi::QoiDecoder, tga::TgaDecoder};
use image::{ImageDecoder, ImageError, Limits, error::LimitErrorKind};

use crate::error::{INVALID, check_density, check_dimensions};
use crate::exif::Orientation;
use crate::png::on_white;
use crate::profile::Space;
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{Format, ICC_BYTES_MAX, PreviewError, SIDE_PIXELS_MAX, WHOLE_PIXELS_MAX, Warning};

/// The most bytes of the pixels of an image, however small its file is: they are all held in memory. That is a screen of 5,120 x 2,880 pixels
/// in three colours.
const DENSE_BYTES_MAX: u64 = 44 << 20;
/// The most bytes that a decoder holds, the pixels included: 64 million of four bytes, and what it reads.
const DECODER_BYTES_MAX: u64 = WHOLE_PIXELS_MAX * 5;

pub(crate) fn decode<R: BufRead + Seek>(
    format: Format,
    input: &mut R,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let shrunk = match format {
        Format::Bmp => BmpDecoder::new(input).map(|decoder| shrink(format, file_len, decoder, side)),
        Format::Qoi => QoiDecoder::new(input).map(|decoder| shrink(format, file_len, decoder, side)),
        Format::Pnm => PnmDecoder::new(input).map(|decoder| shrink(format, file_len, decoder, side)),
        Format::Tga => TgaDecoder::new(input).map(|decoder| shrink(format, file_len, decoder, side)),
        Format::Ico => IcoDecoder::new(input).map(|decoder| shrink(format, file_len, decoder, side)),
        other => return Err(PreviewError::NotDecoded(other)),
    };
    shrunk.map_err(|error| explained(format, error))?
}

fn shrink(
    format: Format,
    file_len: u64,
    mut decoder: impl ImageDecoder,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let (width, height) = decoder.dimensions();
    check_dimensions(format, (width, height), WHOLE_PIXELS_MAX)?;
    let pixel_bytes = u64::from(decoder.color_type().bytes_per_pixel().max(1));
    check_density((width, height), file_len, DENSE_BYTES_MAX / pixel_bytes)?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(SIDE_PIXELS_MAX);
    limits.max_image_height = Some(SIDE_PIXELS_MAX);
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    decoder.set_limits(limits).map_err(|error| explained(format, error))?;
    let icc = decoder.icc_profile().ok().flatten().filter(|profile| profile.len() <= ICC_BYTES_MAX);
    let colour = decoder.color_type();
    let row_bytes = to_usize(width) * usize::from(colour.bytes_per_pixel());
    // White, which is what is seen of the pixels that are missing.
    let mut pixels = vec![u8::MAX; row_bytes * to_usize(height)];
    let warning = match decoder.read_image(&mut pixels) {
        Ok(()) => None,
        Err(error) => match explained(format, error) {
            // What has been read before is in its place.
            PreviewError::Damaged(..) if pixels.iter().any(|byte| *byte != u8::MAX) => {
                Some(Warning::Incomplete)
            }
            error => return Err(error),
        },
    };
    let channels = if colour.channel_count() < 3 { 1 } else { 3 };
    let mut shrinker = Shrinker::new((width, height), channels, side);
    let (mut bytes, mut opaque) = (Vec::new(), Vec::new());
    for (y, samples) in (0..height).zip(pixels.chunks_exact(row_bytes)) {
        let samples = as_bytes(samples, &mut bytes, colour.bytes_per_pixel() / colour.channel_count());
        let row = match (colour.has_alpha(), channels) {
            (false, _) => samples,
            (true, 1) => on_white::<2>(samples, &mut opaque),
            (true, _) => on_white::<4>(samples, &mut opaque),
        };
        shrinker.add_row(y, row);
    }
    Ok(Decoded {
        width,
        height,
        told: None,
        orientation: Orientation::default(),
        planes: vec![shrinker.finish()],
        colour: if channels == 1 { Colour::Grey } else { Colour::Rgb },
        space: icc.map(Space::Icc),
        warning,
    })
}

/// Samples of `width` bytes as bytes: of deep ones the highest. None of these formats has floating point here.
fn as_bytes<'a>(samples: &'a [u8], bytes: &'a mut Vec<u8>, width: u8) -> &'a [u8] {
    if width == 1 {
        return samples;
    }
    let highest = if cfg!(target_endian = "little") { usize::from(width) - 1 } else { 0 };
    bytes.clear();
    bytes.extend(samples.iter().skip(highest).step_by(width.into()));
    bytes
}

fn explained(format: Format, error: ImageError) -> PreviewError {
    match error {
        ImageError::IoError(error) => PreviewError::from_read(format, error),
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => PreviewError::TooLarge {
                what: "memory for its pixels in bytes",
                actual: DECODER_BYTES_MAX + 1,
                max: DECODER_BYTES_MAX,
            },
            _ => PreviewError::Unsupported(rare(format)),
        },
        ImageError::Unsupported(_) => PreviewError::Unsupported(rare(format)),
        // Their texts are for programmers.
        _ => PreviewError::damaged(format, INVALID),
    }
}

fn rare(format: Format) -> &'static str {
    match format {
        Format::Bmp => "BMP of a rare kind",
        Format::Qoi => "QOI of a rare kind",
        Format::Pnm => "Netpbm of a rare kind",
        Format::Tga => "TGA of a rare kind",
        _ => "icon of a rare kind",
    }
}
