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

/// Of a block that is cut at an edge, which takes much of its chroma from its neighbour.
const CUT_DIFFERENCE_MAX: f64 = 20.0;

/// Width and height in pixels of pictures whose blocks are cut at the right and below.
const ODD_SIZES: [(u32, u32); 3] = [(127, 127), (255, 255), (127, 64)];

/// The largest difference of a block's average over all channels: of whole blocks, and of those cut ones that have 16 pixels or more.
fn largest_differences(a: &RgbImage, b: &RgbImage) -> (f64, f64) {
    assert_eq!(a.dimensions(), b.dimensions());
    let (width, height) = a.dimensions();
    let (mut whole, mut cut) = (0f64, 0f64);
    let tops = (0..height).step_by(8);
    for (top, left) in tops.flat_map(|y| (0..width).step_by(8).map(move |x| (y, x))) {
        let size = ((width - left).min(8), (height - top).min(8));
        let largest = if size == (8, 8) { &mut whole } else { &mut cut };
        if size.0 * size.1 < 16 {
            continue;
        }
        for channel in 0..3 {
            let sum = |image: &RgbImage| -> f64 {
                let block = image.view(left, top, size.0, size.1);
                block.pixels().map(|(_, _, pixel)| f64::from(pixel[channel])).sum()
            };
            *largest = largest.max((sum(a) - sum(b)).abs() / f64::from(size.0 * size.1));
        }
    }
    (whole, cut)
}

fn checkerboard((width, height): (u32, u32), side: u32, colours: [Rgb<u8>; 2]) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| colours[usize::from((x / side + y / side) % 2 == 1)])
}

/// Dots of the inks cyan, magenta and yellow, whose size follows the picture, in the turned screens of print.
fn halftone((width, height): (u32, u32), pitch: f64) -> RgbImage {
    let picture = photo(width, height);
    RgbImage::from_fn(width, height, |x, y| {
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
fn dithered((width, height): (u32, u32)) -> RgbImage {
    const ORDER: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    let picture = photo(width, height);
    RgbImage::from_fn(width, height, |x, y| {
        let threshold = ORDER[usize::try_from(y % 4).unwrap()][usize::try_from(x % 4).unwrap()] * 16 + 8;
        Rgb(picture.get_pixel(x, y).0.map(|value| if value > threshold { 255 } else { 0 }))
    })
}

/// Lines of one pixel in fans and grids.
fn line_art((width, height): (u32, u32), ground: Rgb<u8>, line: Rgb<u8>) -> RgbImage {
    let mut image = RgbImage::from_pixel(width, height, ground);
    let middle = width / 2;
    for step in 0..40 {
        for x in 0..middle {
            let y = x * step / 40 + step;
            if y < height {
                image.put_pixel(x, y, line);
            }
        }
    }
    for (x, y) in (0..height).flat_map(|y| (middle + 3..width).map(move |x| (x, y))) {
        if x % 7 == 0 || y % 5 == 0 {
            image.put_pixel(x, y, line);
        }
    }
    image
}

/// Glyphs of 5 x 7 pixels, as many as there are patterns of bits: what matters is their strokes, not what they mean.
fn small_text((width, height): (u32, u32), ground: Rgb<u8>, ink: Rgb<u8>) -> RgbImage {
    let mut bits = 0x9e37_79b9_u32;
    let mut image = RgbImage::from_pixel(width, height, ground);
    let tops = (2..height - 7).step_by(10);
    for (top, left) in tops.flat_map(|y| (3..width - 4).step_by(6).map(move |x| (y, x))) {
        for row in 0..7 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            for column in (0..5).filter(|column| bits >> (24 + column) & 1 == 1) {
                image.put_pixel(left + column, top + row, ink);
            }
        }
    }
    image
}

/// In the sizes that `size` makes of their own.
fn patterns(size: impl Fn((u32, u32)) -> (u32, u32)) -> Vec<(String, RgbImage)> {
    let mut out = vec![("dithered".to_owned(), dithered(size((256, 171))))];
    out.extend(
        [3.0, 4.3, 7.0].map(|pitch| (format!("halftone of {pitch}"), halftone(size((240, 180)), pitch))),
    );
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
            out.push((
                format!("checkerboard of {side}: {pair:?}"),
                checkerboard(size((201, 150)), side, pair),
            ));
        }
        out.push((format!("line art: {pair:?}"), line_art(size((220, 170)), pair[0], pair[1])));
        out.push((format!("small text: {pair:?}"), small_text(size((250, 120)), pair[0], pair[1])));
    }
    out
}

#[test]
fn every_block_of_a_pattern_keeps_its_colour() {
    let mut wrong = Vec::new();
    for (name, truth) in patterns(|own| own) {
        let picture = make(&file(truth.clone(), ImageFormat::Png)).unwrap();
        let (whole, _) = largest_differences(&pixels(&picture), &truth);
        if whole > BLOCK_DIFFERENCE_MAX {
            wrong.push(format!("{name}: {whole:.1}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn blocks_that_are_cut_at_an_edge_keep_their_colour_too() {
    let mut wrong = Vec::new();
    for odd in ODD_SIZES {
        for (name, truth) in patterns(|_| odd) {
            let picture = make(&file(truth.clone(), ImageFormat::Png)).unwrap();
            let (whole, cut) = largest_differences(&pixels(&picture), &truth);
            if whole.max(cut) > CUT_DIFFERENCE_MAX {
                wrong.push(format!("{name} in {odd:?}: {whole:.1}, {cut:.1}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_preview_takes_no_more_bytes_than_one_that_drops_chroma() {
    // Colours that the eye sees as one take bytes only where they differ.
    let (mut averaged, mut dropped) = (0, 0);
    for (_, truth) in patterns(|own| own).into_iter().chain([("photo".to_owned(), photo(256, 192))]) {
        averaged += make(&file(truth.clone(), ImageFormat::Png)).unwrap().preview.jpeg.len();
        dropped += jpeg(&truth, |encoder| encoder.set_quality(80)).len();
    }
    assert!(averaged * 100 <= dropped * 105, "{averaged} against {dropped} bytes");
}
