//! Pictures for the tests: real JPEG, small and different from each other.

use std::path::Path;

use image::{ExtendedColorType, RgbImage, codecs::jpeg::JpegEncoder};

/// A JPEG file of 320x240 pixels, some 20 kB, that is another one for another `seed`.
pub(crate) fn jpeg(seed: u8) -> Vec<u8> {
    sized(seed, 320, 240)
}

/// A JPEG file of 1 or 2 kB, which is here as soon as its first byte is.
pub(crate) fn write_small(path: &Path, seed: u8) {
    std::fs::write(path, sized(seed, 64, 48)).unwrap();
}

fn sized(seed: u8, width: u32, height: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let wave = |n: u32| u8::try_from((n * (u32::from(seed) + 3)) % 256).unwrap_or(0);
        image::Rgb([wave(x), wave(y), wave(x / 2 + y)])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85)
        .encode(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
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

/// A JPEG whose camera has written down when it was taken, and in which zone, if that is given.
pub(crate) fn dated(zone: Option<&str>) -> Vec<u8> {
    let values = [(0x9003u16, "2024:05:06 07:08:09\0".to_owned())];
    let zone = zone.map(|zone| (0x9011u16, format!("{zone}\0")));
    let values: Vec<_> = values.into_iter().chain(zone).collect();
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    exif.extend(u16::try_from(values.len()).unwrap().to_le_bytes());
    let mut at = 26 + 2 + 12 * values.len() + 4;
    for (tag, value) in &values {
        exif.extend(tag.to_le_bytes());
        exif.extend(2u16.to_le_bytes());
        for number in [value.len(), at] {
            exif.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        at += value.len();
    }
    exif.extend([0; 4]);
    exif.extend(values.iter().flat_map(|(_, value)| value.bytes()));
    let len = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let jpeg = jpeg(1);
    [&jpeg[..2], &[0xff, 0xe1], &len, &exif, &jpeg[2..]].concat()
}
