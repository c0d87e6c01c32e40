//! Pixels for a screen: as good as those of a preview, at other sizes.

use std::io::Cursor;

use dos_preview::{Pixels, SCALED_PIXELS_MAX, make_within, scale};
use image::{ImageFormat, RgbImage, imageops};

use crate::samples::{exif, file, gif, jpeg, photo, png_of_rows, psnr, with_png_chunk};

fn scaled(file: &[u8], bounds: (u32, u32)) -> RgbImage {
    let Pixels { width, height, rgb, .. } = scale(Cursor::new(file), bounds).unwrap();
    RgbImage::from_raw(width, height, rgb).unwrap()
}

#[test]
fn every_format_fills_its_bounds_and_looks_like_the_original() {
    let truth = photo(1500, 1000);
    let plain = jpeg(&truth, |encoder| encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1));
    let files = [
        ("jpeg", 35.0, plain),
        ("progressive", 31.0, jpeg(&truth, |encoder| encoder.set_progressive(true))),
        ("png", 40.0, file(truth.clone(), ImageFormat::Png)),
        ("webp", 35.0, file(truth.clone(), ImageFormat::WebP)),
        // 252 colours without dithering.
        ("gif", 22.0, gif(&truth, true, (1500, 1000), (0, 0))),
    ];
    for (name, least, file) in &files {
        for (bounds, size) in [((1200, 900), (1200, 800)), ((640, 100), (150, 100)), ((60, 60), (60, 40))] {
            let got = scaled(file, bounds);
            assert_eq!(got.dimensions(), size, "{name}");
            let wanted = imageops::resize(&truth, size.0, size.1, imageops::FilterType::Lanczos3);
            let got = psnr(&got, &wanted);
            assert!(got > *least, "{name} in {bounds:?}: {got:.1} dB");
        }
    }
}

#[test]
fn previews_are_as_large_as_is_asked_within_their_bounds() {
    let wide = file(photo(1500, 1000), ImageFormat::Png);
    let high = with_png_chunk(&wide, b"eXIf", &exif(6));
    for (asked, side) in [(0, 256), (256, 256), (400, 400), (512, 512), (513, 512), (u32::MAX, 512)] {
        for (file, size) in [(&wide, (side, (side * 2 + 1) / 3)), (&high, ((side * 2 + 1) / 3, side))] {
            let preview = make_within(Cursor::new(file), asked).unwrap().preview;
            assert_eq!((preview.width, preview.height), size, "{asked}");
            let shown = image::load_from_memory(&preview.jpeg).unwrap();
            assert_eq!((shown.width(), shown.height()), size, "{asked}");
        }
    }
    let small = make_within(Cursor::new(file(photo(300, 200), ImageFormat::Png)), 512).unwrap().preview;
    assert_eq!((small.width, small.height), (300, 200));
}

#[test]
fn bounds_are_those_of_the_upright_image() {
    let stored = file(photo(600, 400), ImageFormat::Png);
    let turned = with_png_chunk(&stored, b"eXIf", &exif(6));
    assert_eq!(scaled(&turned, (200, 300)).dimensions(), (200, 300));
    assert_eq!(scaled(&turned, (300, 150)).dimensions(), (100, 150));
}

#[test]
fn nothing_is_enlarged_and_silly_bounds_are_taken_for_the_nearest() {
    let small = file(photo(40, 30), ImageFormat::Png);
    assert_eq!(scaled(&small, (2000, 2000)), photo(40, 30));
    assert_eq!(scaled(&small, (0, 0)).dimensions(), (1, 1));
    let wide = png_of_rows((5000, 1), [8, 0, 0], &[0; 5001]);
    assert_eq!(scaled(&wide, (u32::MAX, u32::MAX)).dimensions(), (SCALED_PIXELS_MAX, 1));
    assert_eq!(scaled(&wide, (3, 500)).dimensions(), (3, 1));
}

#[test]
fn a_progressive_image_beyond_the_memory_for_its_coefficients_is_a_little_softer() {
    // Its luminance alone would take 129 MiB of coefficients.
    let (width, height) = (8208, 8256);
    let truth = RgbImage::from_fn(width, height, |x, y| {
        let wave = |at: u32| u8::try_from(at / 40 % 256).unwrap();
        image::Rgb([wave(x), wave(y), wave(x + y)])
    });
    let got = scaled(&jpeg(&truth, |encoder| encoder.set_progressive(true)), (1600, 1600));
    assert_eq!(got.dimensions(), (1591, 1600));
    let wanted = imageops::resize(&truth, 1591, 1600, imageops::FilterType::Triangle);
    let got = psnr(&got, &wanted);
    assert!(got > 28.0, "{got:.1} dB");
}
