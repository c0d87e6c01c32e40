//! AVIF: pictures of `samples::photo` as `avifenc` wrote them, of every kind of samples, put together of tiles, turned, cropped, with opacity.

use std::time::{Duration, Instant};

use dos_preview::{Format, Picture, PreviewError};
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage, imageops};

use crate::samples::{file, make, photo, pixels, with_png_chunk};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/avif/", $name, ".avif")).as_slice()
    };
}

/// The odd photo, whose sides no block of anything divides.
fn odd() -> RgbImage {
    photo(61, 41)
}

/// A photo whose opacity grows from the left to the right.
fn half() -> RgbaImage {
    let mut half = DynamicImage::from(photo(60, 40)).to_rgba8();
    for (x, _, pixel) in half.enumerate_pixels_mut() {
        pixel.0[3] = u8::try_from(x * 255 / 60).unwrap();
    }
    half
}

fn png(image: impl Into<DynamicImage>) -> Picture {
    make(&file(image, ImageFormat::Png)).unwrap()
}

/// How far two previews are from each other, on average.
fn distance(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (pixels(a), pixels(b));
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u32 = a.iter().zip(b.iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / f64::from(u32::try_from(a.len()).unwrap())
}

#[test]
fn what_is_lossless_shows_what_a_png_shows() {
    let shown = make(data!("lossless-alpha")).unwrap();
    assert_eq!((shown.format, shown.width, shown.height, shown.warning), (Format::Avif, 60, 40, None));
    assert!(shown.preview == png(half()).preview);
}

#[test]
fn properties_turn_mirror_and_crop_it() {
    let turned = imageops::flip_vertical(&imageops::rotate270(&odd()));
    assert!(make(data!("turned")).unwrap().preview == png(turned).preview);
    let mirrored = imageops::flip_horizontal(&odd());
    assert!(make(data!("mirrored")).unwrap().preview == png(mirrored).preview);
    let cropped = imageops::crop_imm(&odd(), 10, 8, 40, 30).to_image();
    let shown = make(data!("cropped")).unwrap();
    assert_eq!((shown.width, shown.height), (40, 30));
    assert!(shown.preview == png(cropped).preview);
}

#[test]
fn its_code_points_tell_its_colours() {
    let told = with_png_chunk(&file(odd(), ImageFormat::Png), b"cICP", &[12, 13, 0, 1]);
    let (shown, expected) = (make(data!("p3")).unwrap(), make(&told).unwrap());
    assert!(shown.preview == expected.preview);
    assert!(shown.preview != png(odd()).preview, "the sample tells nothing");
}

#[test]
fn every_kind_of_samples_comes_near() {
    let grey = image::GrayImage::from_fn(300, 200, {
        let photo = photo(300, 200);
        move |x, y| {
            let [r, g, b] = photo.get_pixel(x, y).0.map(u16::from);
            image::Luma([u8::try_from((r * 2 + g * 5 + b) / 8).unwrap()])
        }
    });
    let mut told = file(odd(), ImageFormat::Png);
    told = with_png_chunk(&told, b"cICP", &[9, 13, 0, 1]);
    for (name, shown, expected) in [
        ("4:2:0, BT.709, limited", data!("lossy-420"), png(photo(300, 200))),
        ("4:2:0, odd sides", data!("odd-420"), png(odd())),
        ("4:2:0, 10 bits, limited", data!("odd-420-10-limited"), png(odd())),
        ("4:2:2, 12 bits", data!("odd-422-12"), png(odd())),
        ("4:4:4, 10 bits, BT.2020", data!("odd-444-10"), make(&told).unwrap()),
        ("grey", data!("grey-400"), png(grey)),
        ("tiles", data!("grid"), png(photo(256, 192))),
        ("multiplied by its opacity", data!("premultiplied"), png(half())),
    ] {
        let shown = make(shown).unwrap();
        let distance = distance(&shown, &expected);
        assert!(distance < 5.0, "{name}: {distance}");
        assert_eq!((shown.width, shown.height), (expected.width, expected.height), "{name}");
    }
}

#[test]
fn a_file_of_heif_is_decoded_by_what_is_in_it_whatever_it_is_called() {
    let mut renamed = data!("lossless-alpha").to_vec();
    let name = renamed.windows(4).position(|bytes| bytes == b"avif").unwrap();
    for at in (name..28).step_by(4).filter(|at| renamed[*at..].starts_with(b"avif")).collect::<Vec<_>>() {
        renamed[at..at + 4].copy_from_slice(b"mif1");
    }
    let shown = make(&renamed).unwrap();
    assert_eq!(shown.format, Format::Heic);
    assert!(shown.preview == png(half()).preview);
}

#[test]
fn what_is_cut_is_refused() {
    let whole = data!("lossy-420");
    for len in (0..whole.len()).step_by(37) {
        match make(&whole[..len]) {
            Ok(_) => panic!("{len}"),
            Err(PreviewError::Damaged(..) | PreviewError::NotAnImage | PreviewError::Unsupported(_)) => {}
            Err(other) => panic!("{len}: {other}"),
        }
    }
}

/// The places of the two numbers that tell the size of a picture.
fn size_at(file: &[u8]) -> usize {
    file.windows(4).position(|bytes| bytes == b"ispe").unwrap() + 8
}

#[test]
fn bombs_are_refused_or_done_in_time() {
    let start = Instant::now();
    // What the container says, and what the coded picture says.
    let mut large = data!("odd-420").to_vec();
    let at = size_at(&large);
    large[at..at + 8].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let error = make(&large).unwrap_err();
    assert!(error.to_string().contains("number of pixels is 3600000000"), "{error}");
    // `avifenc -s 10` of 8,000 x 8,000 pixels, all grey.
    let error = make(data!("flat-64mp")).unwrap_err();
    assert!(error.to_string().contains("for the size of the file"), "{error}");
    // The largest that is decoded whatever its size: 4,200 x 4,200 in some hundred bytes.
    let shown = make(data!("flat-17mp")).unwrap();
    assert_eq!((shown.width, shown.height), (4200, 4200));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    for file in [data!("odd-420"), data!("lossless-alpha"), data!("grid"), data!("grey-400")] {
        for at in (0..file.len().min(700)).step_by(2).chain((0..file.len()).step_by(file.len() / 60 + 1)) {
            let mut odd = file.to_vec();
            odd[at] ^= 0xff;
            drop(make(&odd));
        }
    }
}
