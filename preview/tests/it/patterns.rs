//! Pictures made of dots and lines: each block of a preview has the colour that the original has there from a distance.

use image::{GenericImageView, ImageFormat, Rgb, RgbImage};

use crate::samples::{file, jpeg, make, photo, pixels};

/// What one channel of a block of 8 x 8 pixels may differ, on the average over its pixels.
const BLOCK_DIFFERENCE_MAX: f64 = 10.0;

const WHITE: Rgb<u8> = Rgb([255; 3]);
const BLACK: Rgb<u8> = Rgb([0; 3]);
const RED: Rgb<u8> = Rgb([255, 0, 0]);
const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
const CYAN: Rgb<u8> = Rgb([0, 255, 255]);
const MAGENTA: Rgb<u8> = Rgb([255, 0, 255]);
const YELLOW: Rgb<u8> = Rgb([255, 255, 0]);

/// The largest difference of a block's average, over all whole blocks and channels.
fn largest_difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let (width, height) = a.dimensions();
    let mut largest: f64 = 0.0;
    for (top, left) in (0..height / 8).flat_map(|y| (0..width / 8).map(move |x| (8 * y, 8 * x))) {
        for channel in 0..3 {
            let sum = |image: &RgbImage| -> f64 {
                let block = image.view(left, top, 8, 8);
                block.pixels().map(|(_, _, pixel)| f64::from(pixel[channel])).sum()
            };
            largest = largest.max((sum(a) - sum(b)).abs() / 64.0);
        }
    }
    largest
}

fn checkerboard(side: u32, colours: [Rgb<u8>; 2]) -> RgbImage {
    RgbImage::from_fn(201, 150, |x, y| colours[usize::from((x / side + y / side) % 2 == 1)])
}

/// Dots of the inks cyan, magenta and yellow, whose size follows the picture, in the turned screens of print.
fn halftone(pitch: f64) -> RgbImage {
    let picture = photo(240, 180);
    RgbImage::from_fn(240, 180, |x, y| {
        let mut pixel = WHITE;
        for (channel, angle) in [(0, 15.0f64), (1, 75.0), (2, 0.0)] {
            let (sin, cos) = angle.to_radians().sin_cos();
            let (u, v) = (f64::from(x) * cos - f64::from(y) * sin, f64::from(x) * sin + f64::from(y) * cos);
            let wave = |at: f64| (at * std::f64::consts::TAU / pitch).cos();
            let threshold = 0.5 + (wave(u) + wave(v)) / 4.0;
            if f64::from(picture.get_pixel(x, y)[channel]) / 255.0 < threshold {
                pixel[channel] = 0;
            }
        }
        pixel
    })
}

/// The levels 0 and 255 of every channel, by an ordered pattern of 4 x 4 (Bayer's).
fn dithered() -> RgbImage {
    const ORDER: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    let picture = photo(256, 171);
    RgbImage::from_fn(256, 171, |x, y| {
        let threshold = ORDER[usize::try_from(y % 4).unwrap()][usize::try_from(x % 4).unwrap()] * 16 + 8;
        Rgb(picture.get_pixel(x, y).0.map(|value| if value > threshold { 255 } else { 0 }))
    })
}

/// Lines of one pixel in fans and grids.
fn line_art(ground: Rgb<u8>, line: Rgb<u8>) -> RgbImage {
    let mut image = RgbImage::from_pixel(220, 170, ground);
    for step in 0..40 {
        for x in 0..110u32 {
            let y = x * step / 40 + step;
            if y < 170 {
                image.put_pixel(x, y, line);
            }
        }
    }
    for (x, y) in (0..170).flat_map(|y| (113..220).map(move |x| (x, y))) {
        if x % 7 == 0 || y % 5 == 0 {
            image.put_pixel(x, y, line);
        }
    }
    image
}

/// Glyphs of 5 x 7 pixels, as many as there are patterns of bits: what matters is their strokes, not what they mean.
fn small_text(ground: Rgb<u8>, ink: Rgb<u8>) -> RgbImage {
    let mut bits = 0x9e37_79b9_u32;
    let mut image = RgbImage::from_pixel(250, 120, ground);
    for (top, left) in (2..110).step_by(10).flat_map(|y| (3..240).step_by(6).map(move |x| (y, x))) {
        for row in 0..7 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            for column in (0..5).filter(|column| bits >> (24 + column) & 1 == 1) {
                image.put_pixel(left + column, top + row, ink);
            }
        }
    }
    image
}

fn patterns() -> Vec<(String, RgbImage)> {
    let mut out = vec![("dithered".to_owned(), dithered())];
    out.extend([3.0, 4.3, 7.0].map(|pitch| (format!("halftone of {pitch}"), halftone(pitch))));
    let pairs = [
        [RED, BLUE],
        [RED, GREEN],
        [GREEN, BLUE],
        [WHITE, RED],
        [WHITE, BLUE],
        [BLACK, RED],
        [BLACK, GREEN],
        [BLACK, BLUE],
        [CYAN, RED],
        [MAGENTA, GREEN],
        [YELLOW, BLUE],
        [WHITE, BLACK],
        [WHITE, YELLOW],
    ];
    for pair in pairs {
        for side in 1..=3 {
            out.push((format!("checkerboard of {side}: {pair:?}"), checkerboard(side, pair)));
        }
        out.push((format!("line art: {pair:?}"), line_art(pair[0], pair[1])));
        out.push((format!("small text: {pair:?}"), small_text(pair[0], pair[1])));
    }
    out
}

#[test]
fn every_block_of_a_pattern_keeps_its_colour() {
    let mut wrong = Vec::new();
    for (name, truth) in patterns() {
        let picture = make(&file(truth.clone(), ImageFormat::Png)).unwrap();
        let got = largest_difference(&pixels(&picture), &truth);
        if got > BLOCK_DIFFERENCE_MAX {
            wrong.push(format!("{name}: {got:.1}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_preview_takes_no_more_bytes_than_one_that_drops_chroma() {
    // Colours that the eye sees as one take bytes only where they differ.
    let (mut averaged, mut dropped) = (0, 0);
    for (_, truth) in patterns().into_iter().chain([("photo".to_owned(), photo(256, 192))]) {
        averaged += make(&file(truth.clone(), ImageFormat::Png)).unwrap().preview.jpeg.len();
        dropped += jpeg(&truth, |encoder| encoder.set_quality(80)).len();
    }
    assert!(averaged * 100 <= dropped * 105, "{averaged} against {dropped} bytes");
}
