//! Pictures for the tests: real JPEG, small and different from each other.

use std::path::Path;

use image::{ExtendedColorType, RgbImage, codecs::jpeg::JpegEncoder};

/// A JPEG file of 320x240 pixels that is another one for another `seed`.
pub(crate) fn jpeg(seed: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(320, 240, |x, y| {
        let wave = |n: u32| u8::try_from((n * (u32::from(seed) + 3)) % 256).unwrap_or(0);
        image::Rgb([wave(x), wave(y), wave(x / 2 + y)])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode(picture.as_raw(), 320, 240, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// Writes such a file and gives its bytes.
pub(crate) fn write(path: &Path, seed: u8) -> Vec<u8> {
    let bytes = jpeg(seed);
    std::fs::write(path, &bytes).unwrap();
    bytes
}

/// Writes what phones call a motion photo, a JPEG with data behind its end, here noise: a large image that is cheap to make
/// and to look at. Gives its bytes.
pub(crate) fn write_large(path: &Path, seed: u8, size: usize) -> Vec<u8> {
    let mut bytes = jpeg(seed);
    let mut state = u64::from(seed) + 1;
    while bytes.len() < size {
        // xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    std::fs::write(path, &bytes).unwrap();
    bytes
}
