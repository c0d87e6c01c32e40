//! A preview is as good as a full decode and a good filter would make it.
//!
//! The threshold leaves room for what the JPEG of the preview itself loses; half a pixel of shift, wrong chroma or
//! a wrong curve fall below it, as the first test shows.

use dos_preview::Format;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, imageops};
use jpeg_encoder::{ColorType, SamplingFactor};

use crate::samples::{
    extended, file, gif, grey_as_rgb, jpeg, jpeg_of, make, photo, pixels, png_of_rows, psnr, reference, webp,
    webp_chunk,
};

/// dB, against the truth.
const GOOD: f64 = 35.0;

fn assert_good(name: &str, made_of: &[u8], truth: &RgbImage) {
    assert_better(name, made_of, truth, GOOD);
}

fn assert_better(name: &str, made_of: &[u8], truth: &RgbImage, least: f64) {
    let picture = make(made_of).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((picture.width, picture.height), truth.dimensions(), "{name}");
    let expected = reference(truth);
    assert_eq!((picture.preview.width, picture.preview.height), expected.dimensions(), "{name}");
    let got = psnr(&pixels(&picture), &expected);
    assert!(got >= least, "{name}: {got:.1} dB");
}

#[test]
fn the_threshold_notices_half_a_pixel_of_shift() {
    let truth = photo(1024, 768);
    let shifted = RgbImage::from_fn(1024, 768, |x, y| *truth.get_pixel((x + 2).min(1023), y));
    let got = psnr(&reference(&shifted), &reference(&truth));
    assert!(got < GOOD, "{got:.1} dB");
}

#[test]
fn jpeg_of_every_sampling_size_and_mode_is_good() {
    use SamplingFactor::{F_1_1, F_2_1, F_2_2, F_4_1};
    // Sizes for 1/8 with boxes, 1/8, 1/4, 1/2, full scale and no scaling, with blocks cut at the edges.
    for (width, height) in [(6003, 301), (3001, 402), (1999, 333), (1023, 167), (301, 407), (97, 61)] {
        let truth = photo(width, height);
        let grey: GrayImage = DynamicImage::from(truth.clone()).to_luma8();
        for progressive in [false, true] {
            for sampling in [F_1_1, F_2_1, F_2_2, F_4_1] {
                let name = format!("{width}x{height}, progressive {progressive}, {sampling:?}");
                let file = jpeg(&truth, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(progressive);
                });
                // What the file lost by its sampling does not count.
                let decoded =
                    image::load_from_memory_with_format(&file, ImageFormat::Jpeg).unwrap().to_rgb8();
                assert_better(&name, &file, &decoded, 31.0);
            }
            let name = format!("{width}x{height}, progressive {progressive}, grey");
            let file = jpeg_of(grey.as_raw(), (width, height), ColorType::Luma, |encoder| {
                encoder.set_progressive(progressive);
            });
            assert_good(&name, &file, &grey_as_rgb(&grey));
        }
    }
}

#[test]
fn jpeg_with_restarts_and_without_interleaving_is_the_same() {
    for (width, height) in [(3001, 202), (1999, 133), (301, 407)] {
        let truth = photo(width, height);
        for progressive in [false, true] {
            let plain = jpeg(&truth, |encoder| encoder.set_progressive(progressive));
            let expected = make(&plain).unwrap();
            for (optimised, restart) in
                [(true, 0), (false, 1), (true, 1), (false, 7), (true, 7), (false, 100)]
            {
                let file = jpeg(&truth, |encoder| {
                    encoder.set_progressive(progressive);
                    encoder.set_optimized_huffman_tables(optimised);
                    encoder.set_restart_interval(restart);
                });
                assert_ne!(file, plain);
                let name = format!("{width}x{height}: {progressive} {optimised} {restart}");
                assert_eq!(make(&file).unwrap(), expected, "{name}");
            }
        }
    }
}

#[test]
fn jpeg_of_inks_is_good() {
    let truth = photo(1999, 333);
    // Inks as they are: 255 is full.
    let inks: Vec<u8> = truth.pixels().flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    for colour in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let file = jpeg_of(&inks, (1999, 333), colour, |encoder| {
            encoder.set_sampling_factor(SamplingFactor::F_1_1);
        });
        assert_good(&format!("{colour:?}"), &file, &truth);
    }
}

#[test]
fn png_of_every_kind_is_good() {
    for (width, height) in [(1600, 301), (200, 130)] {
        let truth = photo(width, height);
        let image = DynamicImage::from(truth.clone());
        assert_good("8 bits", &file(truth.clone(), ImageFormat::Png), &truth);
        assert_good("16 bits", &file(image.to_rgb16(), ImageFormat::Png), &truth);
        let grey = image.to_luma8();
        assert_good("grey", &file(grey.clone(), ImageFormat::Png), &grey_as_rgb(&grey));
        assert_good("16-bit grey", &file(image.to_luma16(), ImageFormat::Png), &grey_as_rgb(&grey));
        // Alpha grows from left to right; what it hides is a loud colour.
        let faded = |x: u32, value: u8| {
            let alpha = x * 255 / (width - 1);
            u8::try_from((u32::from(value) * alpha + 255 * (255 - alpha)) / 255).unwrap()
        };
        let alpha = |x: u32| u8::try_from(x * 255 / (width - 1)).unwrap();
        let rgba = image::RgbaImage::from_fn(width, height, |x, y| {
            let Rgb([r, g, b]) = *truth.get_pixel(x, y);
            Rgba([r, g, b, alpha(x)])
        });
        let flat = RgbImage::from_fn(width, height, |x, y| Rgb(truth.get_pixel(x, y).0.map(|v| faded(x, v))));
        assert_good("alpha", &file(rgba.clone(), ImageFormat::Png), &flat);
        assert_good("16-bit alpha", &file(DynamicImage::from(rgba).to_rgba16(), ImageFormat::Png), &flat);
        let grey_alpha =
            image::GrayAlphaImage::from_fn(width, height, |x, y| LumaA([grey.get_pixel(x, y)[0], alpha(x)]));
        let flat = GrayImage::from_fn(width, height, |x, y| Luma([faded(x, grey.get_pixel(x, y)[0])]));
        assert_good("grey and alpha", &file(grey_alpha, ImageFormat::Png), &grey_as_rgb(&flat));
    }
}

#[test]
fn interlaced_png_is_good_at_every_size() {
    let passes =
        [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    for (width, height) in [(1000, 777), (100, 80), (3, 2), (1, 1), (5, 9)] {
        let truth = photo(width, height);
        let mut rows = Vec::new();
        for (x, step_x, y, step_y) in passes {
            for y in (y..height).step_by(step_y).take_while(|_| x < width) {
                rows.push(0);
                rows.extend((x..width).step_by(step_x).flat_map(|x| truth.get_pixel(x, y).0));
            }
        }
        let file = png_of_rows((width, height), [8, 2, 1], &rows);
        // Of a few pixels, one step of the quantisation decides.
        let least = if width < 8 { 28.0 } else { GOOD };
        assert_better(&format!("{width}x{height}"), &file, &truth, least);
    }
}

#[test]
fn palette_png_with_transparency_lies_on_white() {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, 400, 300);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Two);
    encoder.set_palette(vec![255, 0, 0, 0, 0, 0, 0, 0, 255, 0, 255, 0]);
    encoder.set_trns(vec![255, 0]);
    // A quarter of the width each: red, transparent black, blue, green.
    let row: Vec<u8> = (0..100).map(|x| [0x00, 0x55, 0xaa, 0xff][x / 25]).collect();
    encoder.write_header().unwrap().write_image_data(&row.repeat(300)).unwrap();
    let bands = [Rgb([255, 0, 0]), Rgb([255; 3]), Rgb([0, 0, 255]), Rgb([0, 255, 0])];
    let truth = RgbImage::from_fn(400, 300, |x, _| bands[usize::try_from(x / 100).unwrap()]);
    assert_good("palette", &out, &truth);
    let preview = pixels(&make(&out).unwrap());
    assert!(preview.get_pixel(96, 90).0.iter().all(|&value| value > 250), "{:?}", preview.get_pixel(96, 90));
}

#[test]
fn gif_is_good_and_what_it_does_not_cover_is_white() {
    for interlaced in [false, true] {
        for (width, height) in [(1000, 701), (120, 90)] {
            let truth = photo(width, height);
            let levels =
                |value: u8, top: u32| u8::try_from((u32::from(value) * top + 127) / 255 * 255 / top).unwrap();
            let truth = RgbImage::from_fn(width, height, |x, y| {
                let Rgb([r, g, b]) = *truth.get_pixel(x, y);
                Rgb([levels(r, 5), levels(g, 6), levels(b, 5)])
            });
            let size = (u16::try_from(width).unwrap(), u16::try_from(height).unwrap());
            assert_good("whole", &gif(&truth, interlaced, size, (0, 0)), &truth);
            let mut canvas = RgbImage::from_pixel(width + 50, height + 70, Rgb([255; 3]));
            imageops::replace(&mut canvas, &truth, 30, 40);
            let placed = gif(&truth, interlaced, (size.0 + 50, size.1 + 70), (30, 40));
            assert_good("placed", &placed, &canvas);
            // A frame that stands out of its canvas is cut.
            let mut canvas = RgbImage::from_pixel(width, height, Rgb([255; 3]));
            imageops::replace(&mut canvas, &truth, 30, 40);
            assert_good("cut", &gif(&truth, interlaced, size, (30, 40)), &canvas);
        }
    }
}

#[test]
fn webp_of_every_kind_is_good() {
    for (width, height) in [(700, 501), (200, 130)] {
        let truth = photo(width, height);
        let lossless = file(truth.clone(), ImageFormat::WebP);
        assert_good("lossless", &lossless, &truth);
        let rgba = image::RgbaImage::from_fn(width, height, |x, y| {
            let Rgb([r, g, b]) = *truth.get_pixel(x, y);
            Rgba([r, g, b, if x * 2 < width { 0 } else { 255 }])
        });
        let mut half = truth.clone();
        for (x, _, pixel) in half.enumerate_pixels_mut() {
            if x * 2 < width {
                *pixel = Rgb([255; 3]);
            }
        }
        assert_good("transparent", &file(rgba, ImageFormat::WebP), &half);
        // An animation whose first frame lies within its canvas.
        let mut frame = [10u32, 15, width - 1, height - 1, 100]
            .iter()
            .flat_map(|v| v.to_le_bytes()[..3].to_vec())
            .collect::<Vec<u8>>();
        frame.push(0);
        frame.extend(&webp(&[(b"VP8L", webp_chunk(&lossless, b"VP8L"))])[12..]);
        let (canvas_width, canvas_height) = (width + 60, height + 40);
        let header = extended(2, canvas_width, canvas_height);
        let animation = webp(&[(b"VP8X", &header), (b"ANIM", &[0; 6]), (b"ANMF", &frame), (b"ANMF", &frame)]);
        let mut canvas = RgbImage::from_pixel(canvas_width, canvas_height, Rgb([255; 3]));
        imageops::replace(&mut canvas, &truth, 20, 30);
        assert_better("animation", &animation, &canvas, 30.0);
    }
}

#[test]
fn lossy_webp_is_good() {
    let truth = photo(1400, 1050);
    assert_good("lossy", include_bytes!("../data/lossy.webp"), &truth);
    let truth = photo(600, 400);
    let flat = RgbImage::from_fn(600, 400, |x, y| {
        let alpha = 255 - y * 255 / 399;
        Rgb(truth
            .get_pixel(x, y)
            .0
            .map(|v| u8::try_from((u32::from(v) * alpha + 255 * (255 - alpha)) / 255).unwrap()))
    });
    assert_good("lossy with alpha", include_bytes!("../data/lossy-alpha.webp"), &flat);
}

#[test]
fn formats_are_told_by_content_and_small_images_keep_their_size() {
    let truth = photo(40, 30);
    for (format, name, bytes) in [
        (Format::Jpeg, "jpeg", jpeg(&truth, |_| {})),
        (Format::Png, "png", file(truth.clone(), ImageFormat::Png)),
        (Format::WebP, "webp", file(truth.clone(), ImageFormat::WebP)),
        (Format::Gif, "gif", gif(&truth, false, (40, 30), (0, 0))),
    ] {
        let picture = make(&bytes).unwrap();
        assert_eq!(picture.format, format);
        assert_eq!(picture.format.as_str(), name);
        assert_eq!((picture.preview.width, picture.preview.height), (40, 30));
    }
}

#[test]
fn an_icc_profile_is_applied_and_a_broken_one_ignored() {
    let red = RgbImage::from_pixel(300, 200, Rgb([200, 30, 30]));
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let colour = |file: &[u8]| pixels(&make(file).unwrap()).get_pixel(100, 80).0;
    let plain = colour(&jpeg(&red, |_| {}));
    assert!(plain[0].abs_diff(200) < 4, "{plain:?}");
    let wide = colour(&jpeg(&red, |encoder| encoder.add_icc_profile(&profile).unwrap()));
    assert!(wide[0] > 210, "{wide:?}");
    let broken = colour(&jpeg(&red, |encoder| encoder.add_icc_profile(&profile[..300]).unwrap()));
    assert_eq!(broken, plain);
    let lossless = file(red.clone(), ImageFormat::WebP);
    let header = extended(0x20, 300, 200);
    let in_webp = webp(&[(b"VP8X", &header), (b"ICCP", &profile), (b"VP8L", webp_chunk(&lossless, b"VP8L"))]);
    assert!(colour(&in_webp)[0] > 210);
    let mut in_png = Vec::new();
    let mut info = png::Info::with_size(300, 200);
    (info.color_type, info.icc_profile) = (png::ColorType::Rgb, Some(profile.into()));
    let encoder = png::Encoder::with_info(&mut in_png, info).unwrap();
    encoder.write_header().unwrap().write_image_data(red.as_raw()).unwrap();
    assert!(colour(&in_png)[0] > 210);
}
