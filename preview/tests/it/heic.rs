//! HEIC: decoded by a program of libheif where there is one; else its thumbnail is shown, or a placeholder. With `DOS_TEST_HEIF` in the environment the
//! tests that need the program fail where there is none.

use std::io::Cursor;

use dos_preview::{Format, Known, Looked, Picture, PreviewError, Warning, look};
use dos_testing::{has_program, skipped};
use image::ImageFormat;

use crate::samples::{file, jpeg, make, photo, pixels};

/// The photo of 300 x 200 pixels, as libheif wrote it with x265.
const PHOTO: &[u8] = include_bytes!("../data/photo.heic");

/// The photo, and its negative of 120 x 80 pixels: two pictures, as libheif wrote them. The first is the primary one.
const PICTURES: &[u8] = include_bytes!("../data/pictures.heic");

fn has_libheif(test: &str) -> bool {
    let there = has_program("heif-dec") || has_program("heif-convert");
    if !there {
        assert!(std::env::var_os("DOS_TEST_HEIF").is_none(), "the programs of libheif are not installed");
        skipped(test, "the programs of libheif are not installed");
    }
    there
}

/// A box.
fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len() + 8).unwrap();
    [&len.to_be_bytes(), kind.as_slice(), content].concat()
}

/// A file of a picture of HEVC that no one can decode, of this size, and a thumbnail of it.
fn with_thumbnail(kind: &[u8; 4], thumbnail: &[u8], link: &[u8; 4], size: (u32, u32)) -> Vec<u8> {
    let info = |id: u8, kind: &[u8; 4]| {
        boxed(b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], kind.as_slice(), &[0]].concat())
    };
    let data = [b"no HEVC at all".as_slice(), thumbnail].concat();
    let (first, second) = (14u32, u32::try_from(thumbnail.len()).unwrap());
    let place = |id: u8, at: u32, len: u32| {
        [&[0, id, 0, 1, 0, 0, 0, 1], at.to_be_bytes().as_slice(), &len.to_be_bytes()].concat()
    };
    let ispe = [[0; 4], size.0.to_be_bytes(), size.1.to_be_bytes()].concat();
    let properties = [
        boxed(b"ipco", &[boxed(b"ispe", &ispe), boxed(b"irot", &[1])].concat()),
        boxed(b"ipma", &[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 1, 2]),
    ];
    let meta = [
        vec![0; 4],
        boxed(b"pitm", &[0, 0, 0, 0, 0, 1]),
        boxed(b"iinf", &[&[0, 0, 0, 0, 0, 2], info(1, b"hvc1").as_slice(), &info(2, kind)].concat()),
        boxed(
            b"iloc",
            &[&[1, 0, 0, 0, 0x44, 0, 0, 2], place(1, 0, first).as_slice(), &place(2, first, second)].concat(),
        ),
        boxed(b"iref", &[vec![0; 4], boxed(link, &[0, 2, 0, 1, 0, 1])].concat()),
        boxed(b"iprp", &properties.concat()),
        boxed(b"idat", &data),
    ];
    [boxed(b"ftyp", b"heic\0\0\0\0mif1heic"), boxed(b"meta", &meta.concat())].concat()
}

#[test]
fn a_picture_is_decoded_in_a_process_of_its_own() {
    if !has_libheif("a_picture_is_decoded_in_a_process_of_its_own") {
        return;
    }
    let (shown, png) = (make(PHOTO).unwrap(), make(&file(photo(300, 200), ImageFormat::Png)).unwrap());
    assert_eq!((shown.format, shown.width, shown.height, shown.warning), (Format::Heic, 300, 200, None));
    let (a, b) = (pixels(&shown), pixels(&png));
    let sum: u32 = a.iter().zip(b.iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    let mean = f64::from(sum) / f64::from(u32::try_from(a.len()).unwrap());
    assert!(mean < 5.0, "{mean}");
}

#[test]
fn of_several_pictures_the_primary_one_is_shown() {
    if !has_libheif("of_several_pictures_the_primary_one_is_shown") {
        return;
    }
    let colour = |picture: &Picture| {
        let pixels = pixels(picture);
        // Within the round shape, which is red.
        pixels.get_pixel(pixels.width() / 4, pixels.height() * 3 / 10).0.map(|value| value > 128)
    };
    let first = make(PICTURES).unwrap();
    assert_eq!((first.width, first.height, first.warning), (300, 200, None));
    assert_eq!(colour(&first), [true, false, false]);
    let mut second = PICTURES.to_vec();
    let primary = second.windows(4).position(|bytes| bytes == b"pitm").unwrap() + 9;
    assert_eq!(second[primary], 1);
    second[primary] = 2;
    let second = make(&second).unwrap();
    assert_eq!((second.width, second.height, second.warning), (120, 80, None));
    assert_eq!(colour(&second), [false, true, true]);
    // The primary one is shown even if it is marked as hidden.
    let mut hidden = PICTURES.to_vec();
    let entry = hidden.windows(4).position(|bytes| bytes == b"infe").unwrap() + 7;
    hidden[entry] |= 1;
    assert!(make(&hidden).unwrap() == first);
}

#[test]
fn what_cannot_be_decoded_is_shown_by_its_thumbnail_upright() {
    let small = jpeg(&photo(120, 80), |_| {});
    let file = with_thumbnail(b"jpeg", &small, b"thmb", (4000, 3000));
    let shown = make(&file).unwrap();
    assert_eq!(shown.warning, Some(Warning::Thumbnail));
    assert_eq!((shown.width, shown.height), (3000, 4000), "the size is that of the picture");
    assert_eq!((shown.preview.width, shown.preview.height), (80, 120), "the thumbnail is turned with it");
    // In what the camera says of it: a directory, and behind it one of the thumbnail.
    let len = u32::try_from(small.len()).unwrap();
    let mut exif =
        b"\0\0\0\x06Exif\0\0II\x2a\0\x08\0\0\0\0\0\x0e\0\0\0\x02\0\x01\x02\x04\0\x01\0\0\0\x2c\0\0\0"
            .to_vec();
    exif.extend([b"\x02\x02\x04\0\x01\0\0\0".as_slice(), &len.to_le_bytes(), &[0; 4], &small].concat());
    let shown = make(&with_thumbnail(b"Exif", &exif, b"cdsc", (4000, 3000))).unwrap();
    assert_eq!((shown.preview.width, shown.preview.height), (80, 120));
}

#[test]
fn without_a_thumbnail_it_has_a_placeholder_that_says_why() {
    let file = with_thumbnail(b"mime", b"text", b"cdsc", (40, 30));
    let looked = look(Cursor::new(&file), Known { name: "sea", bytes: 1, any: false, side: 256 }).unwrap();
    let Looked::Placeholder { format, why, .. } = looked else { panic!("{looked:?}") };
    assert_eq!(format, Format::Heic);
    let why = why.to_string();
    assert!(why.contains("libheif"), "{why}");
}

#[test]
fn a_bomb_is_not_handed_over() {
    let file = with_thumbnail(b"mime", b"text", b"cdsc", (30_000, 30_000));
    let error = make(&file).unwrap_err();
    assert!(matches!(error, PreviewError::TooLarge { .. }), "{error}");
}
