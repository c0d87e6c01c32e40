//! EXIF: its orientation is applied, wherever it stands, and nothing of it is in a preview.

use image::{ImageFormat, RgbImage, imageops};

use jpeg_encoder::SamplingFactor;

use crate::samples::{
    exif, extended, file, jpeg, make, photo, pixels, psnr, reference, webp, webp_chunk, with_png_chunk,
};

/// The image as a viewer shows it, told by other means than those of the crate.
fn displayed(stored: &RgbImage, orientation: u8) -> RgbImage {
    match orientation {
        2 => imageops::flip_horizontal(stored),
        3 => imageops::rotate180(stored),
        4 => imageops::flip_vertical(stored),
        5 => imageops::flip_horizontal(&imageops::rotate90(stored)),
        6 => imageops::rotate90(stored),
        7 => imageops::flip_vertical(&imageops::rotate90(stored)),
        8 => imageops::rotate270(stored),
        _ => stored.clone(),
    }
}

fn files_with_exif(photo: &RgbImage, exif: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (width, height) = photo.dimensions();
    let lossless = file(photo.clone(), ImageFormat::WebP);
    let bitstream = webp_chunk(&lossless, b"VP8L");
    let header = extended(8, width, height);
    let prefixed = [b"Exif\0\0", exif].concat();
    let png = file(photo.clone(), ImageFormat::Png);
    let end = png.len() - 12;
    let late = [&png[..end], &crate::samples::png_chunk(b"eXIf", exif), &png[end..]].concat();
    vec![
        (
            "jpeg",
            jpeg(photo, |encoder| {
                encoder.set_sampling_factor(SamplingFactor::F_1_1);
                encoder.add_exif_metadata(exif).unwrap();
            }),
        ),
        ("png", with_png_chunk(&png, b"eXIf", exif)),
        ("png, behind the pixels", late),
        ("webp", webp(&[(b"VP8X", &header), (b"VP8L", bitstream), (b"EXIF", exif)])),
        ("webp, prefixed", webp(&[(b"VP8X", &header), (b"VP8L", bitstream), (b"EXIF", &prefixed)])),
    ]
}

#[test]
fn all_orientations_are_applied_in_all_formats() {
    for (width, height) in [(600, 400), (90, 133)] {
        let stored = photo(width, height);
        for orientation in 1..=8 {
            let truth = displayed(&stored, orientation);
            for (name, file) in files_with_exif(&stored, &exif(orientation)) {
                let picture = make(&file).unwrap();
                assert_eq!((picture.width, picture.height), truth.dimensions(), "{name} {orientation}");
                let got = psnr(&pixels(&picture), &reference(&truth));
                assert!(got > 31.0, "{name}, orientation {orientation}: {got:.1} dB");
            }
        }
    }
}

/// XMP with an orientation, as raw converters and phones' editors write it beside EXIF, or alone.
fn xmp(orientation: u8) -> Vec<u8> {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF><rdf:Description tiff:Orientation=\"{orientation}\" \
         exif:GPSLatitude=\"48.137N\"/></rdf:RDF></x:xmpmeta>"
    )
    .into_bytes()
}

#[test]
fn xmp_tells_the_orientation_where_exif_does_not() {
    let (stored, packet) = (photo(60, 40), xmp(6));
    let jpeg = |exif: Option<&[u8]>| {
        jpeg(&stored, |encoder| {
            if let Some(exif) = exif {
                encoder.add_exif_metadata(exif).unwrap();
            }
            let segment = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &packet].concat();
            encoder.add_app_segment(1, segment).unwrap();
        })
    };
    let png = file(stored.clone(), ImageFormat::Png);
    let text = [b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), &packet].concat();
    let lossless = file(stored.clone(), ImageFormat::WebP);
    let webp = webp(&[
        (b"VP8X", &extended(4, 60, 40)),
        (b"VP8L", webp_chunk(&lossless, b"VP8L")),
        (b"XMP ", &packet),
    ]);
    let size = |file: &[u8]| {
        let picture = make(file).unwrap();
        (picture.width, picture.height)
    };
    for (name, file) in [("jpeg", jpeg(None)), ("png", with_png_chunk(&png, b"iTXt", &text)), ("webp", webp)]
    {
        assert_eq!(size(&file), (40, 60), "{name}");
    }
    assert_eq!(size(&jpeg(Some(&exif(3)))), (60, 40), "EXIF comes first");
    // A directory without the tag.
    assert_eq!(size(&jpeg(Some(b"MM\0\x2a\0\0\0\x08\0\0\0\0\0\0"))), (40, 60));
}

#[test]
fn an_orientation_of_any_whole_type_is_applied() {
    for kind in [1, 3, 4, 6, 8, 9] {
        let mut block = exif(6);
        block[13] = kind;
        let value = match kind {
            1 | 6 => [6, 0, 0, 0],
            3 | 8 => [0, 6, 0, 0],
            _ => [0, 0, 0, 6],
        };
        block[18..22].copy_from_slice(&value);
        for (name, file) in files_with_exif(&photo(60, 40), &block) {
            let picture = make(&file).unwrap();
            assert_eq!((picture.width, picture.height), (40, 60), "{name}, type {kind}");
        }
    }
}

#[test]
fn nothing_of_the_metadata_is_in_a_preview() {
    let contains = |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).any(|part| part == needle);
    for (name, file) in files_with_exif(&photo(600, 400), &exif(6)) {
        assert!(contains(&file, b"GPS48.137N"), "{name}: the sample has a place");
        let jpeg = make(&file).unwrap().preview.jpeg;
        for word in [b"Exif".as_slice(), b"GPS", b"48.137", b"ICC_PROFILE", b"http", b"Adobe"] {
            assert!(!contains(&jpeg, word), "{name}");
        }
        // Of the application segments only JFIF's, and no comment.
        for marker in (0xe1..=0xef).chain([0xfe]) {
            assert!(!contains(&jpeg, &[0xff, marker]), "{name}: segment {marker:x}");
        }
    }
}
