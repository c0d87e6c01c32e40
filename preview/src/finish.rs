//! The last step of every format: the shrunken image is resized with a good filter, brought to sRGB, turned upright
//! and encoded. Everything here works on small images, so it takes what is simple.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::exif::Orientation;
use crate::raster::{Decoded, Plane};
use crate::shrink::to_usize;
use crate::{Pixels, Preview, PreviewError, colour, encode, thumbhash};

/// The size of an image within `bounds`, as wide or as high as they allow, but never enlarged, and no side below one
/// pixel.
pub(crate) fn fit((width, height): (u32, u32), bounds: (u32, u32)) -> (u32, u32) {
    if width <= bounds.0 && height <= bounds.1 {
        return (width, height);
    }
    // The side that reaches its bound first decides: width : bounds.0 against height : bounds.1.
    let by_width = u64::from(width) * u64::from(bounds.1) >= u64::from(height) * u64::from(bounds.0);
    let (to, from) = if by_width { (bounds.0, width) } else { (bounds.1, height) };
    let scaled = |side: u32, bound: u32| {
        let rounded = (u64::from(side) * u64::from(to) + u64::from(from) / 2) / u64::from(from.max(1));
        u32::try_from(rounded).unwrap_or(bound).min(bound).max(1)
    };
    (scaled(width, bounds.0), scaled(height, bounds.1))
}

/// Makes the preview of a decoded image, within a square of `side` pixels.
pub(crate) fn finish(decoded: Decoded, side: u32) -> Result<Preview, PreviewError> {
    let Settled { samples, count, width, height } = settle(decoded, (side, side))?;
    preview(&samples, count, (width, height))
}

/// The preview that has these pixels, of `count` samples (1, grey, or 3, sRGB).
pub(crate) fn preview(samples: &[u8], count: usize, size: (u32, u32)) -> Result<Preview, PreviewError> {
    let (width, height) = size;
    let thumbhash = thumbhash::of(samples, count, size)?;
    Ok(Preview { jpeg: encode::encode(samples, count, size)?, width, height, thumbhash })
}

/// Makes pixels within `bounds` of a decoded image.
pub(crate) fn pixels(decoded: Decoded, bounds: (u32, u32)) -> Result<Pixels, PreviewError> {
    let Settled { samples, count, width, height } = settle(decoded, bounds)?;
    let rgb = if count == 1 { samples.iter().flat_map(|&grey| [grey; 3]).collect() } else { samples };
    Ok(Pixels { width, height, rgb })
}

/// An image at its last size, sRGB and upright.
struct Settled {
    samples: Vec<u8>,
    /// Samples in a pixel: 1 or 3.
    count: usize,
    width: u32,
    height: u32,
}

/// Brings an image to its last size, within `bounds`.
fn settle(decoded: Decoded, bounds: (u32, u32)) -> Result<Settled, PreviewError> {
    // The bounds are those of the turned image.
    let bounds = decoded.orientation.displayed(bounds.0, bounds.1);
    let (width, height) = fit((decoded.width, decoded.height), bounds);
    let mut channels = Vec::with_capacity(decoded.planes.len());
    for plane in decoded.planes {
        channels.push(resize(plane, width, height)?);
    }
    let samples = interleave(channels);
    let (samples, count) = colour::to_srgb(samples, decoded.colour, decoded.space.as_ref());
    let samples = turn(&samples, count, (width, height), decoded.orientation);
    let (width, height) = decoded.orientation.displayed(width, height);
    Ok(Settled { samples, count, width, height })
}

pub(crate) fn resize(plane: Plane, width: u32, height: u32) -> Result<Vec<u8>, PreviewError> {
    let whole = f64::from(width) == plane.covered_width && f64::from(height) == plane.covered_height;
    if whole && (width, height) == (plane.width, plane.height) {
        return Ok(plane.samples);
    }
    let pixel = if plane.channels == 3 { PixelType::U8x3 } else { PixelType::U8 };
    let failed = |_| PreviewError::Unsupported("its shape cannot be resized");
    let source = ImageRef::new(plane.width, plane.height, &plane.samples, pixel)
        .map_err(|_| PreviewError::Unsupported("its shape cannot be resized"))?;
    let mut target = Image::new(width, height, pixel);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .crop(0.0, 0.0, plane.covered_width, plane.covered_height)
        .use_alpha(false);
    Resizer::new().resize(&source, &mut target, &options).map_err(failed)?;
    Ok(target.into_vec())
}

/// One plane as it is, several as pixels of as many samples.
fn interleave(mut channels: Vec<Vec<u8>>) -> Vec<u8> {
    if channels.len() == 1 {
        return channels.pop().unwrap_or_default();
    }
    let count = channels.len();
    let mut out = vec![0; channels.iter().map(Vec::len).sum()];
    for (index, channel) in channels.iter().enumerate() {
        for (sample, &value) in out.iter_mut().skip(index).step_by(count).zip(channel) {
            *sample = value;
        }
    }
    out
}

fn turn(samples: &[u8], count: usize, (width, height): (u32, u32), orientation: Orientation) -> Vec<u8> {
    if orientation == Orientation::default() {
        return samples.to_vec();
    }
    let (stored_width, (width, height)) = (to_usize(width), orientation.displayed(width, height));
    let (width, height) = (to_usize(width), to_usize(height));
    let mut out = Vec::with_capacity(samples.len());
    for y in 0..height {
        for x in 0..width {
            let x = if orientation.mirror { width - 1 - x } else { x };
            let y = if orientation.flip { height - 1 - y } else { y };
            let (x, y) = if orientation.transpose { (y, x) } else { (x, y) };
            let at = (y * stored_width + x) * count;
            out.extend_from_slice(&samples[at..at + count]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_and_are_never_enlarged_nor_empty() {
        let fit = |width, height| super::fit((width, height), (256, 256));
        assert_eq!(fit(4000, 3000), (256, 192));
        assert_eq!(fit(3000, 4000), (192, 256));
        assert_eq!(fit(257, 256), (256, 255));
        assert_eq!(fit(256, 10), (256, 10));
        assert_eq!(fit(1, 1), (1, 1));
        assert_eq!(fit(65_535, 1), (256, 1));
        assert_eq!(fit(1, 65_535), (1, 256));
    }

    #[test]
    fn turning_moves_every_pixel_to_its_place() {
        let stored = [1, 2, 3, 4, 5, 6]; // two rows of three
        let turned =
            |transpose, mirror, flip| turn(&stored, 1, (3, 2), Orientation { transpose, mirror, flip });
        assert_eq!(turned(false, false, false), [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned(false, true, false), [3, 2, 1, 6, 5, 4]);
        assert_eq!(turned(false, true, true), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(false, false, true), [4, 5, 6, 1, 2, 3]);
        assert_eq!(turned(true, false, false), [1, 4, 2, 5, 3, 6]);
        assert_eq!(turned(true, true, false), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(true, true, true), [6, 3, 5, 2, 4, 1]);
        assert_eq!(turned(true, false, true), [3, 6, 2, 5, 1, 4]);
    }
}
