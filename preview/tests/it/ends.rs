//! Files of the later formats that end too early or have a byte changed: what is lost is told, in plain words.

use dos_preview::PreviewError;
use image::{DynamicImage, ImageFormat};
use tiff::encoder::{Compression, TiffEncoder, colortype};

use crate::samples::{file, make, photo, png_chunk, with_png_chunk};

/// An animation of two frames: the still image is the first.
fn animated_png() -> Vec<u8> {
    let still = file(photo(120, 90), ImageFormat::Png);
    let control = |sequence: u32| {
        let numbers = [sequence, 120, 90, 0, 0].map(u32::to_be_bytes).concat();
        png_chunk(b"fcTL", &[numbers.as_slice(), &[0, 1, 0, 10, 0, 0]].concat())
    };
    let data = still.windows(4).position(|kind| kind == b"IDAT").unwrap() - 4;
    let len = usize::try_from(u32::from_be_bytes(still[data..data + 4].try_into().unwrap())).unwrap();
    let second = [&2u32.to_be_bytes(), &still[data + 8..data + 8 + len]].concat();
    let end = still.len() - 12;
    let animated = with_png_chunk(&still, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let head = 33 + 20;
    let parts = [
        &animated[..head],
        &control(0),
        &animated[head..animated.len() - 12],
        &control(1),
        &png_chunk(b"fdAT", &second),
        &still[end..],
    ];
    parts.concat()
}

fn tiff(compression: Compression) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out).unwrap().with_compression(compression);
    encoder.write_image::<colortype::RGB8>(120, 90, photo(120, 90).as_raw()).unwrap();
    out.into_inner()
}

/// Whole files, and whether the first half of them is enough to show something.
fn files() -> Vec<(&'static str, Vec<u8>, bool)> {
    let image = DynamicImage::from(photo(120, 90));
    vec![
        ("APNG", animated_png(), true),
        ("BMP", file(image.clone(), ImageFormat::Bmp), true),
        ("QOI", file(image.clone(), ImageFormat::Qoi), false),
        ("Netpbm", file(image.clone(), ImageFormat::Pnm), false),
        ("TGA", file(image.clone(), ImageFormat::Tga), false),
        // The PNG in an icon has opacity.
        ("icon", file(image.to_rgba8(), ImageFormat::Ico), false),
        ("Photoshop", crate::bitmaps::psd(false), true),
        ("Photoshop, packed", crate::bitmaps::psd(true), true),
        // Its directory stands at its end.
        ("TIFF", tiff(Compression::Uncompressed), false),
        ("TIFF, LZW", tiff(Compression::Lzw), false),
        ("AVIF", include_bytes!("../data/avif/odd-420.avif").to_vec(), false),
        ("AVIF of tiles", include_bytes!("../data/avif/grid.avif").to_vec(), false),
        ("JPEG XL", include_bytes!("../data/lossy.jxl").to_vec(), false),
        ("HEIC", include_bytes!("../data/photo.heic").to_vec(), false),
    ]
}

/// Not the debugging form of a program's values.
fn assert_plain(name: &str, error: &PreviewError) {
    let text = error.to_string();
    assert!(!text.contains(['{', '}', '"', '[', ']', '_', '\n']), "{name}: {text}");
    for word in ["::", "Some(", "None", "Err(", "Error", "0x"] {
        assert!(!text.contains(word), "{name}: {text}");
    }
}

#[test]
fn a_cut_file_of_every_format_is_whole_or_has_a_warning_or_is_refused() {
    for (name, whole, half_is_enough) in files() {
        // Each is a process of its own.
        let count = if name == "HEIC" { 6 } else { 40 };
        let expected = make(&whole);
        let Ok(expected) = expected else {
            assert_eq!(name, "HEIC", "{:?}", expected.map(|_| ()));
            continue;
        };
        let cuts = (1..count).map(|part| whole.len() * part / count).chain([whole.len() - 1]);
        for len in cuts {
            match make(&whole[..len]) {
                Ok(picture) if picture.warning.is_some() => {}
                Ok(picture) => assert!(picture == expected, "{name} cut to {len} of {}", whole.len()),
                Err(PreviewError::Io(error)) => panic!("{name} cut to {len}: {error}"),
                Err(error) => {
                    assert_plain(name, &error);
                    let early = !half_is_enough || len < whole.len() / 2;
                    assert!(early, "{name} cut to {len} of {}: {error}", whole.len());
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told_in_plain_words() {
    for (name, whole, _) in files().into_iter().filter(|(name, ..)| *name != "HEIC") {
        for at in
            (12..whole.len().min(200)).step_by(3).chain((200..whole.len()).step_by(whole.len() / 20 + 1))
        {
            for bits in [0xff, 0x01] {
                let mut odd = whole.clone();
                odd[at] ^= bits;
                if let Err(error) = make(&odd) {
                    assert_plain(name, &error);
                }
            }
        }
    }
}
