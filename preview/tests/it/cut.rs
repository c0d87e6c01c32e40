//! Files that end too early or oddly: where no pixel is lost, nothing is wrong; where some are, that is said.

use dos_preview::{PreviewError, Warning};
use image::{ImageFormat, Rgb, RgbImage, imageops};

use crate::hostile::files;
use crate::samples::{
    file, gif, gif_of, jpeg, make, photo, pixels, png_chunk, png_of_rows, psnr, reference, with_png_chunk,
};

/// What a file without a fault shows, and the same files with one.
fn assert_unharmed(name: &str, whole: &[u8], odd: &[u8]) {
    let expected = make(whole).unwrap();
    assert_eq!(expected.warning, None, "{name}");
    let got = make(odd).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Not by their derived texts, which are long.
    assert_eq!(got.warning, None, "{name}");
    assert!(got == expected, "{name}");
}

#[test]
fn a_cut_file_is_shown_whole_or_with_a_warning_or_refused() {
    let (mut unharmed, mut warned, mut refused) = (0, 0, 0);
    for (width, height) in [(61, 47), (900, 600), (3100, 500)] {
        for (name, whole) in files(&photo(width, height)) {
            let expected = make(&whole).unwrap();
            let cuts = (0..50).map(|part| whole.len() * part / 50).chain(whole.len() - 8..whole.len());
            for len in cuts {
                match make(&whole[..len]) {
                    Err(PreviewError::NotAnImage) if len < 12 => {}
                    Err(PreviewError::Damaged(_, text)) => {
                        refused += 1;
                        let plain =
                            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || " -,".contains(c);
                        assert!(text.chars().all(|c| plain(c) || "LZWEXIFHuffmanMCU".contains(c)), "{text}");
                    }
                    Err(error) => panic!("{name} of {width} cut to {len}: {error}"),
                    Ok(picture) if picture.warning.is_some() => {
                        warned += 1;
                        let size = (picture.preview.width, picture.preview.height);
                        assert!(size == (expected.preview.width, expected.preview.height) || name == "png");
                    }
                    // The orientation may be lost with what is behind the pixels.
                    Ok(picture) => {
                        unharmed += 1;
                        assert!(picture == expected || name == "webp", "{name} of {width} cut to {len}");
                    }
                }
            }
        }
    }
    assert!(unharmed > 60 && warned > 500 && refused > 100, "{unharmed} {warned} {refused}");
}

#[test]
fn a_jpeg_without_its_end_marker_is_whole() {
    for (width, height) in [(300, 200), (3100, 500)] {
        for (name, whole) in files(&photo(width, height)).iter().take(3) {
            for cut in 1..=2 {
                assert_unharmed(name, whole, &whole[..whole.len() - cut]);
            }
        }
    }
    let progressive = jpeg(&photo(300, 200), |encoder| encoder.set_progressive(true));
    assert_unharmed("progressive", &progressive, &progressive[..progressive.len() - 2]);
    // Of a large one, scans of fine detail are passed over: whether they are whole is not known.
    let large = jpeg(&photo(3100, 500), |encoder| encoder.set_progressive(true));
    let cut = make(&large[..large.len() - 2]).unwrap();
    assert_eq!(cut.warning, Some(Warning::Detail));
    assert_eq!(cut.preview, make(&large).unwrap().preview);
}

#[test]
fn the_upper_part_of_a_cut_image_is_as_it_was() {
    let truth = photo(1600, 1200);
    let interlaced = file(truth.clone(), ImageFormat::Png);
    for (name, whole) in [
        ("baseline", jpeg(&truth, |_| {})),
        ("png", interlaced),
        ("gif", gif(&truth, false, (1600, 1200), (0, 0))),
        ("webp", file(truth.clone(), ImageFormat::WebP)),
    ] {
        let cut = make(&whole[..whole.len() * 3 / 4]).unwrap();
        assert_eq!(cut.warning, Some(Warning::Incomplete), "{name}");
        let upper = |image: &RgbImage| imageops::crop_imm(image, 0, 0, 256, 96).to_image();
        let got = psnr(&upper(&pixels(&cut)), &upper(&pixels(&make(&whole).unwrap())));
        assert!(got > 40.0, "{name}: {got:.1} dB");
        let lower = pixels(&cut).get_pixel(128, 190).0;
        assert!(lower.iter().all(|&value| value == 255 || value.abs_diff(128) < 3), "{name}: {lower:?}");
    }
}

#[test]
fn passes_of_an_interlaced_png_that_are_missing_leave_a_coarser_picture() {
    let (width, height) = (1000, 777);
    let truth = photo(width, height);
    let passes =
        [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    let mut rows = Vec::new();
    for (x, step_x, y, step_y) in passes {
        for y in (y..height).step_by(step_y) {
            rows.push(0);
            rows.extend((x..width).step_by(step_x).flat_map(|x| truth.get_pixel(x, y).0));
        }
    }
    let whole = png_of_rows((width, height), [8, 2, 1], &rows);
    let cut = make(&whole[..whole.len() * 2 / 5]).unwrap();
    assert_eq!(cut.warning, Some(Warning::Incomplete));
    let got = psnr(&pixels(&cut), &reference(&truth));
    assert!(got > 22.0, "{got:.1} dB");
}

#[test]
fn data_that_is_wrong_in_its_middle_leaves_what_is_before_it() {
    let mut file = jpeg(&photo(1600, 1200), |encoder| encoder.set_restart_interval(10));
    let middle = file.len() / 2;
    let restart =
        middle + file[middle..].windows(2).position(|w| w[0] == 0xff && w[1] & 0xf8 == 0xd0).unwrap();
    file[restart + 1] ^= 4;
    assert_eq!(make(&file).unwrap().warning, Some(Warning::Incomplete));
}

#[test]
fn what_is_odd_behind_the_pixels_of_a_gif_does_not_matter() {
    let photo = photo(200, 150);
    for interlaced in [false, true] {
        let whole = gif(&photo, interlaced, (200, 150), (0, 0));
        let frame = &whole[..whole.len() - 1];
        assert_unharmed("no trailer", &whole, frame);
        assert_unharmed("no end of the blocks", &whole, &frame[..frame.len() - 1]);
        assert_unharmed("stray bytes", &whole, &[frame, &[0, 0x99, 7]].concat());
        assert_unharmed("an unknown extension", &whole, &[frame, b"\x21\x77\x03abc\x00;"].concat());
        assert_unharmed("an extension that ends", &whole, &[frame, b"\x21\xfe\x09abc"].concat());
    }
    let second = tiles(true, [10; 4]);
    for len in [second.len() / 2, second.len() * 3 / 4, second.len() - 3] {
        assert_unharmed(&format!("cut to {len} of {}", second.len()), &second, &second[..len]);
    }
}

/// A GIF of frames: their place, their colour, delay and how they go.
fn tiles(looped: bool, delays: [u16; 4]) -> Vec<u8> {
    let colours = [Rgb([200, 0, 0]), Rgb([0, 200, 0]), Rgb([0, 0, 200]), Rgb([200, 200, 0])];
    let frames: Vec<_> = (0..4u16)
        .map(|index| {
            let colour = colours[usize::from(index)];
            (
                RgbImage::from_pixel(50, 40, colour),
                (index % 2 * 50, index / 2 * 40),
                delays[usize::from(index)],
            )
        })
        .collect();
    gif_of(&frames, (100, 80), looped)
}

#[test]
fn pieces_without_delay_are_one_picture_and_an_animation_is_its_first_frame() {
    let corners = |file: &[u8]| {
        let image = pixels(&make(file).unwrap());
        [(20, 20), (80, 20), (20, 60), (80, 60)].map(|(x, y)| {
            let Rgb([r, g, b]) = *image.get_pixel(x, y);
            [r > 100, g > 100, b > 100]
        })
    };
    let (red, green, blue, yellow, white) =
        ([true, false, false], [false, true, false], [false, false, true], [true, true, false], [true; 3]);
    assert_eq!(corners(&tiles(false, [0; 4])), [red, green, blue, yellow]);
    assert_eq!(corners(&tiles(false, [0, 0, 10, 0])), [red, green, blue, white]);
    assert_eq!(corners(&tiles(false, [10, 0, 0, 0])), [red, white, white, white]);
    assert_eq!(corners(&tiles(true, [0; 4])), [red, white, white, white]);
    // An opaque frame over the first one is the second of an animation, one with holes is a piece.
    let solid = |rgb| (RgbImage::from_pixel(100, 80, Rgb(rgb)), (0, 0), 0);
    let animation = gif_of(&[solid([200, 0, 0]), solid([0, 200, 0])], (100, 80), false);
    assert_eq!(corners(&animation), [red; 4]);
    for len in [animation.len() - 1, animation.len() - 9] {
        assert_eq!(corners(&animation[..len]), [red; 4]);
        assert_eq!(make(&animation[..len]).unwrap().warning, None);
    }
    // Of a piece that is cut off, what there is.
    let whole = tiles(false, [0; 4]);
    let last = whole.windows(9).position(|w| w == [0x2c, 50, 0, 40, 0, 50, 0, 40, 0]).unwrap();
    let cut = &whole[..last + 14];
    assert_eq!(corners(cut)[..3], [red, green, blue]);
    assert_eq!(make(cut).unwrap().warning, Some(Warning::Incomplete));
}

#[test]
fn wrong_frames_of_an_animated_png_leave_its_still_image() {
    let still = file(photo(120, 90), ImageFormat::Png);
    let end = still.len() - 12;
    let control = |sequence: u32| {
        let numbers = [sequence, 120, 90, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[numbers.as_slice(), &[0, 1, 0, 10, 0, 0]].concat())
    };
    let animated = with_png_chunk(&still, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let (head, tail) = (&animated[..33 + 20], &animated[33 + 20..animated.len() - 12]);
    let data = png_chunk(b"fdAT", &[0, 0, 0, 9, 1, 2, 3]);
    let last = &still[end..];
    for (name, file) in [
        ("no control", [head, tail, &data, last].concat()),
        ("a gap", [head, &control(0), tail, &control(7), &data, last].concat()),
        ("wrong data", [head, &control(0), tail, &control(1), &data, last].concat()),
        ("no frames", [head, &control(0), tail, last].concat()),
        ("a gap before the pixels", [head, &control(5), tail, last].concat()),
    ] {
        assert_unharmed(name, &still, &file);
    }
}

#[test]
fn arithmetic_coding_shows_the_same_as_huffman_coding() {
    let whole = include_bytes!("../data/huffman.jpg");
    for (name, file) in [
        ("sequential", include_bytes!("../data/arithmetic.jpg").as_slice()),
        ("progressive", include_bytes!("../data/arithmetic-progressive.jpg")),
        ("restarts", include_bytes!("../data/arithmetic-restarts.jpg")),
    ] {
        assert_unharmed(name, whole, file);
        assert_unharmed(name, whole, &file[..file.len() - 2]);
        let cut = make(&file[..file.len() / 2]).unwrap();
        assert!(cut.warning.is_some(), "{name}");
    }
}
