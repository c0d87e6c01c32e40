//! Files that lie, bombs and files that were cut: an error, soon, and no panic.

use std::time::{Duration, Instant};

use dos_preview::{PreviewError, Warning};
use image::{ImageFormat, RgbImage};

use crate::samples::{
    exif, extended, file, gif, jpeg, make, photo, png_chunk, webp, webp_chunk, with_png_chunk,
};

/// Every format, and every way through the decoders that differs.
pub(crate) fn files(photo: &RgbImage) -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = photo.dimensions();
    let size = (u16::try_from(width).unwrap(), u16::try_from(height).unwrap());
    let lossless = file(photo.clone(), ImageFormat::WebP);
    let header = extended(8, width, height);
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    vec![
        ("baseline", jpeg(photo, |encoder| encoder.add_icc_profile(&profile).unwrap())),
        ("restarts", jpeg(photo, |encoder| encoder.set_restart_interval(3))),
        ("not interleaved", jpeg(photo, |encoder| encoder.set_optimized_huffman_tables(true))),
        ("progressive", jpeg(photo, |encoder| encoder.set_progressive(true))),
        ("png", with_png_chunk(&file(photo.clone(), ImageFormat::Png), b"eXIf", &exif(6))),
        ("gif", gif(photo, false, size, (0, 0))),
        ("interlaced gif", gif(photo, true, size, (0, 0))),
        (
            "webp",
            webp(&[
                (b"VP8X", &header),
                (b"ICCP", &profile),
                (b"VP8L", webp_chunk(&lossless, b"VP8L")),
                (b"EXIF", &exif(3)),
            ]),
        ),
        ("lossy webp", include_bytes!("../data/lossy-alpha.webp").to_vec()),
    ]
}

#[test]
fn what_follows_after_the_image_does_not_matter() {
    for (name, mut file) in files(&photo(300, 200)) {
        let expected = make(&file).unwrap();
        file.extend(b"\xff\xd8\xff\xe0 trailing bytes, as phones append them");
        assert_eq!(make(&file).unwrap(), expected, "{name}");
    }
}

/// Refused within a second even in a debug build on a busy machine; a decode would take many.
fn assert_refused_soon(name: &str, file: &[u8]) {
    let start = Instant::now();
    let error = make(file).expect_err(name);
    assert!(matches!(error, PreviewError::TooLarge { .. } | PreviewError::Damaged(..)), "{name}: {error}");
    assert!(start.elapsed() < Duration::from_secs(1), "{name}: {:?}", start.elapsed());
}

fn set(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn bombs_are_refused_soon_in_every_format() {
    let side: u16 = 50_000;
    let photo = photo(64, 64);
    let mut png = file(photo.clone(), ImageFormat::Png);
    let dimensions = [u32::from(side).to_be_bytes(), u32::from(side).to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[dimensions.as_slice(), &[8, 2, 0, 0, 0]].concat());
    set(&mut png, 8, &header);
    for progressive in [false, true] {
        let mut jpeg = jpeg(&photo, |encoder| encoder.set_progressive(progressive));
        let frame = jpeg.windows(2).position(|w| w == [0xff, if progressive { 0xc2 } else { 0xc0 }]).unwrap();
        set(&mut jpeg, frame + 5, &[side.to_be_bytes(), side.to_be_bytes()].concat());
        assert_refused_soon("jpeg", &jpeg);
        // Within the limits, but without the data for it.
        set(&mut jpeg, frame + 5, &[30_000u16.to_be_bytes(), 30_000u16.to_be_bytes()].concat());
        assert_refused_soon("jpeg", &jpeg);
    }
    assert_refused_soon("png", &png);
    let mut screen = gif(&photo, false, (64, 64), (0, 0));
    set(&mut screen, 6, &[side.to_le_bytes(), side.to_le_bytes()].concat());
    assert_refused_soon("gif screen", &screen);
    let mut frame = gif(&photo, false, (64, 64), (0, 0));
    let image = frame.windows(9).position(|w| w == [0x2c, 0, 0, 0, 0, 64, 0, 64, 0]).unwrap();
    set(&mut frame, image + 5, &[side.to_le_bytes(), side.to_le_bytes()].concat());
    assert_refused_soon("gif frame", &frame);
    let lossless = file(photo.clone(), ImageFormat::WebP);
    let mut bitstream = webp_chunk(&lossless, b"VP8L").to_vec();
    let canvas = extended(0, side.into(), side.into());
    assert_refused_soon("webp canvas", &webp(&[(b"VP8X", &canvas), (b"VP8L", &bitstream)]));
    set(&mut bitstream, 1, &[0xff; 3]);
    assert_refused_soon("webp", &webp(&[(b"VP8L", &bitstream)]));
}

#[test]
fn a_jpeg_of_thousands_of_scans_is_refused_soon() {
    let whole = jpeg(&photo(800, 600), |encoder| encoder.set_progressive(true));
    let scan = whole.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let end = whole.len() - 2;
    // The last scan again and again: each is valid by its form.
    let bomb = [&whole[..end], &whole[scan..end].repeat(3000), &whole[end..]].concat();
    assert_refused_soon("scans", &bomb);
    let segments = [&whole[..2], &b"\xff\xfe\x00\x02".repeat(200_000), &whole[2..]].concat();
    assert_refused_soon("segments", &segments);
}

#[test]
fn a_png_that_inflates_far_beyond_its_pixels_is_done_soon() {
    // Deflate with its fixed codes: a zero, then two million times the 258 bytes before.
    let mut bits = (0b0110_0011_u64, 11);
    let mut data = vec![0x78, 0x01];
    for _ in 0..2_000_000 {
        // The codes of length 258 and of distance 1, their first bit lowest.
        bits = (bits.0 | 0b1010_0011 << bits.1, bits.1 + 13);
        while bits.1 >= 8 {
            data.push(bits.0.to_le_bytes()[0]);
            bits = (bits.0 >> 8, bits.1 - 8);
        }
    }
    for (height, taken) in [(1, true), (60_000, false)] {
        let [high, low] = u16::to_be_bytes(height);
        let header = png_chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, high, low, 8, 0, 0, 0, 0]);
        let file = [
            b"\x89PNG\r\n\x1a\n".as_slice(),
            &header,
            &png_chunk(b"IDAT", &data[..if taken { data.len() } else { 200 }]),
            &png_chunk(b"IEND", &[]),
        ]
        .concat();
        let start = Instant::now();
        assert_eq!(make(&file).is_ok(), taken, "{height}");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

#[test]
fn other_files_are_not_images_and_rare_jpegs_are_unsupported() {
    for other in [b"".as_slice(), b"BM......", b"hello, world", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xd8"] {
        assert!(matches!(make(other), Err(PreviewError::NotAnImage)));
    }
    let good = jpeg(&photo(64, 64), |_| {});
    let frame = good.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    for (at, value) in [(1, 0xcb), (1, 0xcd), (1, 0xc3), (1, 0xc5), (4, 12)] {
        let mut rare = good.clone();
        rare[frame + at] = value;
        let error = make(&rare).unwrap_err();
        assert!(matches!(error, PreviewError::Unsupported(_)), "{at} {value:x}: {error}");
        assert!(error.to_string().starts_with("unsupported kind of image: "), "{error}");
    }
}

#[test]
fn a_channel_that_is_missing_or_comes_twice_is_damage() {
    let whole = jpeg(&photo(400, 300), |encoder| encoder.set_optimized_huffman_tables(true));
    let scans: Vec<usize> = (0..whole.len() - 1).filter(|&at| whole[at..at + 2] == [0xff, 0xda]).collect();
    assert_eq!(scans.len(), 3, "the sample is not interleaved");
    let end = whole.len() - 2;
    let missing = [&whole[..scans[2]], &whole[end..]].concat();
    let twice = [&whole[..end], &whole[scans[0]..scans[1]], &whole[end..]].concat();
    for file in [missing, twice] {
        assert_eq!(make(&file).unwrap().warning, Some(Warning::Incomplete));
    }
    // Without the first, which is the luminance, there is no picture.
    let colours = [&whole[..scans[0]], &whole[scans[1]..]].concat();
    assert!(matches!(make(&colours), Err(PreviewError::Damaged(..))));
}

#[test]
fn errors_of_the_reader_stay_errors_of_the_reader() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the seal is broken"))
        }
    }
    impl std::io::Seek for Failing {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let outcome = dos_preview::make(std::io::BufReader::new(Failing));
    assert!(matches!(outcome, Err(PreviewError::Io(error)) if error.to_string() == "the seal is broken"));
}
