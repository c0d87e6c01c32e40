//! The ThumbHash of a preview (<https://evanw.github.io/thumbhash>): its averages and lowest frequencies in 5 to 25 bytes, which a viewer
//! can draw before the preview is there. It tells nothing that the preview does not tell.

use crate::PreviewError;
use crate::finish::{fit, resize};
use crate::raster::Plane;
use crate::shrink::to_usize;

/// The longest side of what is looked at, in pixels: more costs time and changes nothing.
const SIDE: u32 = 64;
/// The shortest: there are seven frequencies across and down.
const SIDE_MIN: u32 = 8;

/// The hash of pixels of `count` samples (1, grey, or 3, sRGB).
pub(crate) fn of(samples: &[u8], count: usize, (width, height): (u32, u32)) -> Result<Vec<u8>, PreviewError> {
    // What has fewer pixels than the hash has frequencies is drawn larger.
    let (small_width, small_height) = fit((width, height), (SIDE, SIDE));
    let times = SIDE_MIN.div_ceil(small_width.min(small_height).max(1));
    let larger = |side: u32| side.saturating_mul(times).min(SIDE);
    let (small_width, small_height) = (larger(small_width), larger(small_height));
    let plane = Plane {
        samples: samples.to_vec(),
        width,
        height,
        channels: count,
        covered_width: f64::from(width),
        covered_height: f64::from(height),
    };
    let small = resize(plane, small_width, small_height)?;
    let opaque = small.chunks_exact(count).flat_map(|pixel| {
        let of = |channel: usize| pixel.get(channel).or_else(|| pixel.first()).copied().unwrap_or_default();
        [of(0), of(1), of(2), u8::MAX]
    });
    let opaque: Vec<u8> = opaque.collect();
    Ok(::thumbhash::rgba_to_thumb_hash(to_usize(small_width), to_usize(small_height), &opaque))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixel at a place of what a viewer draws, in percent of the width and the height.
    fn drawn(hash: &[u8], (x, y): (usize, usize)) -> [u8; 3] {
        let (width, height, rgba) = ::thumbhash::thumb_hash_to_rgba(hash).unwrap();
        let start = 4 * (y * height / 100 * width + x * width / 100);
        [rgba[start], rgba[start + 1], rgba[start + 2]]
    }

    fn is_near(one: [u8; 3], other: [u8; 3]) -> bool {
        one.iter().zip(other).all(|(one, other)| one.abs_diff(other) < 40)
    }

    #[test]
    fn it_shows_where_which_colour_is() {
        let (width, height) = (256, 128);
        let mut samples = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let pixel: [u8; 3] = match (x < width / 2, y < height / 2) {
                    (true, true) => [200, 40, 40],
                    (false, true) => [40, 160, 60],
                    (true, false) => [40, 60, 190],
                    (false, false) => [220, 220, 220],
                };
                samples.extend(pixel);
            }
        }
        let hash = of(&samples, 3, (width, height)).unwrap();
        assert!((5..=25).contains(&hash.len()));
        for (place, colour) in [
            ((20, 20), [200, 40, 40]),
            ((80, 20), [40, 160, 60]),
            ((20, 80), [40, 60, 190]),
            ((80, 80), [220, 220, 220]),
        ] {
            let shown = drawn(&hash, place);
            assert!(is_near(shown, colour), "{shown:?} for {colour:?}");
        }
        assert_eq!(hash, of(&samples, 3, (width, height)).unwrap(), "it is the same every time");
    }

    #[test]
    fn a_picture_of_any_shape_has_one() {
        for size in [(1, 1), (512, 1), (1, 512), (3, 2), (100, 100), (512, 512)] {
            for count in [1, 3] {
                let pixels = to_usize(size.0) * to_usize(size.1) * count;
                let hash = of(&vec![130; pixels], count, size).unwrap();
                assert!((5..=25).contains(&hash.len()), "{size:?}");
                assert!(is_near(drawn(&hash, (50, 50)), [130; 3]), "{size:?}");
            }
        }
    }
}
