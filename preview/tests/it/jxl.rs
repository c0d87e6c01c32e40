//! JPEG XL: the picture of `samples::photo`, as `cjxl` wrote it; what surrounds it does not matter, and no file costs more than it is worth.

use std::time::{Duration, Instant};

use dos_preview::{Format, PreviewError, Warning};
use image::{DynamicImage, ImageFormat};

use crate::samples::{file, make, photo};

/// `cjxl -q 80`, of 300 x 200 pixels.
const LOSSY: &[u8] = include_bytes!("../data/lossy.jxl");
/// `cjxl -d 0 -e 9`, of 60 x 40 pixels, whose opacity grows from the left to the right.
const LOSSLESS: &[u8] = include_bytes!("../data/lossless-alpha.jxl");

/// A box of the container.
fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len() + 8).unwrap();
    [&len.to_be_bytes(), kind.as_slice(), content].concat()
}

fn container(boxes: &[Vec<u8>]) -> Vec<u8> {
    [boxed(b"JXL ", b"\r\n\x87\n"), boxed(b"ftyp", b"jxl \0\0\0\0jxl "), boxes.concat()].concat()
}

#[test]
fn what_is_lossless_shows_what_a_png_shows() {
    let mut half = DynamicImage::from(photo(60, 40)).to_rgba8();
    for (x, _, pixel) in half.enumerate_pixels_mut() {
        pixel.0[3] = u8::try_from(x * 255 / 60).unwrap();
    }
    let (shown, png) = (make(LOSSLESS).unwrap(), make(&file(half, ImageFormat::Png)).unwrap());
    assert_eq!((shown.format, shown.width, shown.height), (Format::Jxl, 60, 40));
    assert!(shown.preview == png.preview);
}

#[test]
fn what_is_lossy_comes_near() {
    let (shown, png) = (make(LOSSY).unwrap(), make(&file(photo(300, 200), ImageFormat::Png)).unwrap());
    let [a, b] = [&shown, &png]
        .map(|picture| image::load_from_memory(&picture.preview.jpeg).unwrap().to_rgb8().into_raw());
    let sum: u32 = a.iter().zip(&b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let mean = f64::from(sum) / f64::from(u32::try_from(a.len()).unwrap());
    assert!(mean < 4.0, "{mean}");
    assert_eq!(shown.warning, None);
}

#[test]
fn boxes_around_the_picture_and_what_is_in_them_do_not_matter() {
    let expected = make(LOSSY).unwrap();
    let (first, second) = LOSSY.split_at(1500);
    let part = |index: u32, bytes: &[u8]| boxed(b"jxlp", &[&index.to_be_bytes(), bytes].concat());
    // Compressed metadata that is none, and metadata behind the picture.
    let metadata = boxed(b"brob", b"Exif\xff\xff\xff\xff\xff\xff");
    for file in [
        container(&[metadata.clone(), boxed(b"jxlc", LOSSY), metadata.clone()]),
        container(&[part(0, first), metadata.clone(), part(0x8000_0001, second), boxed(b"Exif", &[0; 99])]),
        container(&[boxed(b"jxll", &[5]), [&[0, 0, 0, 0], b"jxlc".as_slice(), LOSSY].concat()]),
    ] {
        assert!(make(&file).unwrap() == expected);
    }
    let nothing = make(&container(&[metadata])).unwrap_err();
    assert_eq!(nothing.to_string(), "damaged JPEG XL image: the file ends too early");
}

#[test]
fn what_is_cut_is_shown_with_a_warning_or_refused() {
    let (mut shown, mut refused) = (0, 0);
    for len in (0..LOSSY.len()).step_by(97) {
        match make(&LOSSY[..len]) {
            Ok(picture) => {
                assert_eq!(picture.warning, Some(Warning::Incomplete), "{len}");
                shown += 1;
            }
            Err(PreviewError::Damaged(..) | PreviewError::NotAnImage) => refused += 1,
            Err(other) => panic!("{len}: {other}"),
        }
    }
    assert!(shown > 0 && refused > 0, "{shown} shown, {refused} refused");
}

/// A header of a picture without anything behind it (ISO/IEC 18181-1, SizeHeader with sides of 30 bits, and defaults).
fn header(width: u32, height: u32) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut put = |value: u64, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1 == 1));
    // Not small; 30 bits; no ratio.
    put(0, 1);
    put(3, 2);
    put((height - 1).into(), 30);
    put(0, 3);
    put(3, 2);
    put((width - 1).into(), 30);
    // All default: metadata, and the frame.
    put(1, 1);
    put(1, 1);
    let bytes = bits.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    [0xff, 0x0a].into_iter().chain(bytes).collect()
}

#[test]
fn bombs_are_refused_in_time() {
    let refused = |file: &[u8]| {
        let start = Instant::now();
        let error = make(file).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2), "{error}: {:?}", start.elapsed());
        error
    };
    for (width, height) in [(60_000, 60_000), (8_000, 8_000), (1 << 30, 1)] {
        let error = refused(&[header(width, height), vec![0; 300]].concat());
        assert!(matches!(error, PreviewError::Damaged(..) | PreviewError::TooLarge { .. }), "{error}");
    }
    // `cjxl -q 90` of 7,000 x 7,000 pixels, all grey: 1,771 bytes.
    let flat = refused(include_bytes!("../data/flat.jxl"));
    assert!(flat.to_string().contains("more memory than its file is worth"), "{flat}");
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    for file in [LOSSY, LOSSLESS] {
        for at in (0..file.len().min(150)).chain((0..file.len()).step_by(file.len() / 60 + 1)) {
            let mut odd = file.to_vec();
            odd[at] ^= 0xff;
            drop(make(&odd));
        }
    }
}
