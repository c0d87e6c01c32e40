//! When a picture was taken is found where each format keeps what a camera says, and only if it says so.

use std::io::Cursor;

use dos_preview::taken;
use image::ImageFormat;

use crate::samples::{file, jpeg, photo};

/// A block of EXIF, little-endian, from its structure on.
fn exif() -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    out.extend(b"\x02\0\x03\x90\x02\0\x14\0\0\0\x38\0\0\0\x11\x90\x02\0\x07\0\0\0\x4c\0\0\0\0\0\0\0");
    assert_eq!(out.len(), 0x38);
    out.extend(b"2024:05:06 07:08:09\0+02:00\0");
    out
}

const XMP: &[u8] = b"<x:xmpmeta><rdf:Description exif:DateTimeOriginal=\"2023-01-02T03:04:05\"/></x:xmpmeta>";

fn found(file: &[u8]) -> Option<String> {
    taken(Cursor::new(file)).unwrap().map(|taken| taken.to_string())
}

fn says(file: &[u8], expected: &str) {
    assert_eq!(found(file).as_deref(), Some(expected));
    // What is cut off anywhere tells it or not, and does no harm.
    for len in (0..file.len()).step_by(file.len() / 200 + 1) {
        let cut = taken(Cursor::new(&file[..len])).unwrap().map(|taken| taken.to_string());
        // The zone may be what is cut off.
        assert!(cut.as_deref().is_none_or(|cut| expected.starts_with(cut)), "cut to {len}: {cut:?}");
    }
}

const EXIF_SAYS: &str = "2024-05-06T07:08:09+02:00";
const XMP_SAYS: &str = "2023-01-02T03:04:05";

/// Puts segments behind the beginning of a JPEG.
fn with_segments(segments: &[&[u8]]) -> Vec<u8> {
    let plain = jpeg(&photo(60, 40), |_| {});
    let mut out = plain[..2].to_vec();
    for segment in segments {
        out.extend([0xff, 0xe1]);
        out.extend(u16::try_from(segment.len() + 2).unwrap().to_be_bytes());
        out.extend(*segment);
    }
    out.extend(&plain[2..]);
    out
}

#[test]
fn a_jpeg_says_it_in_exif_or_else_in_xmp() {
    let exif = [b"Exif\0\0", exif().as_slice()].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0", XMP].concat();
    says(&with_segments(&[&exif]), EXIF_SAYS);
    says(&with_segments(&[&xmp]), XMP_SAYS);
    assert_eq!(found(&with_segments(&[b"ICC_PROFILE\0", &xmp, &exif])).as_deref(), Some(EXIF_SAYS));
    assert_eq!(found(&with_segments(&[])), None);
}

/// A PNG with a chunk behind its header, or before its end.
fn with_chunk(kind: &[u8; 4], content: &[u8], is_late: bool) -> Vec<u8> {
    let plain = file(photo(60, 40), ImageFormat::Png);
    let at = if is_late { plain.len() - 12 } else { 33 };
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&plain[..at], &len, kind, content, &[0; 4], &plain[at..]].concat()
}

#[test]
fn a_png_says_it_before_or_behind_its_pixels_but_not_by_when_it_was_written() {
    for is_late in [false, true] {
        says(&with_chunk(b"eXIf", &exif(), is_late), EXIF_SAYS);
        says(&with_chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", XMP].concat(), is_late), XMP_SAYS);
        assert_eq!(found(&with_chunk(b"tIME", &[7, 232, 5, 6, 7, 8, 9], is_late)), None);
    }
}

#[test]
fn a_webp_says_it_in_chunks_of_its_own() {
    let plain = file(photo(60, 40), ImageFormat::WebP);
    for (kind, content, expected) in [(b"EXIF", exif(), EXIF_SAYS), (b"XMP ", XMP.to_vec(), XMP_SAYS)] {
        let len = u32::try_from(content.len()).unwrap().to_le_bytes();
        says(&[&plain[..], kind, &len, &content].concat(), expected);
    }
}

#[test]
fn a_tiff_says_it_in_its_own_directories() {
    says(&exif(), EXIF_SAYS);
    let mut big = exif();
    big[..4].copy_from_slice(b"MM\0*");
    assert_eq!(found(&big), None, "its numbers are of the other order");
}

#[test]
fn jpeg_xl_and_photoshop_say_it_in_boxes_and_resources() {
    let boxed = |kind: &[u8; 4], content: &[u8]| {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes(), kind.as_slice(), content].concat()
    };
    let start = boxed(b"JXL ", b"\r\n\x87\n");
    let offset = [&[0, 0, 0, 2, 9, 9], exif().as_slice()].concat();
    says(&[&start[..], &boxed(b"jxlc", b"no picture"), &boxed(b"Exif", &offset)].concat(), EXIF_SAYS);
    says(&[&start[..], &boxed(b"xml ", XMP)].concat(), XMP_SAYS);
    let resource = |kind: u16, content: &[u8]| {
        let len = u32::try_from(content.len()).unwrap().to_be_bytes();
        let filled: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
        [b"8BIM", kind.to_be_bytes().as_slice(), b"\x02ab\0", &len, content, filled].concat()
    };
    let photoshop = |resources: &[u8]| {
        let head = b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\0\x01\0\0\0\x01\0\x08\0\x03\0\0\0\0";
        [head, u32::try_from(resources.len()).unwrap().to_be_bytes().as_slice(), resources].concat()
    };
    says(&photoshop(&[resource(1005, b"odd"), resource(1058, &exif())].concat()), EXIF_SAYS);
    says(&photoshop(&resource(1060, XMP)), XMP_SAYS);
}

#[test]
fn a_camera_says_it_in_its_raw_file() {
    let boxed = |kind: &[u8; 4], content: &[u8]| {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes(), kind.as_slice(), content].concat()
    };
    // The directory of EXIF as a structure of its own, without one before it.
    let own = [
        b"II*\0\x08\0\0\0\x01\0\x03\x90\x02\0\x14\0\0\0\x1a\0\0\0\0\0\0\0",
        b"2024:05:06 07:08:09\0".as_slice(),
    ]
    .concat();
    let id = [0x85, 0xc0, 0xb6, 0x87, 0x82, 0x0f, 0x11, 0xe0, 0x81, 0x11, 0xf4, 0xce, 0x46, 0x2b, 0x6a, 0x48];
    let uuid = boxed(b"uuid", &[id.as_slice(), &boxed(b"CMT2", &own)].concat());
    says(&[boxed(b"ftyp", b"crx \0\0\0\x01crx isom"), boxed(b"moov", &uuid)].concat(), "2024-05-06T07:08:09");
    let inner = with_segments(&[&[b"Exif\0\0", exif().as_slice()].concat()]);
    let mut raf = b"FUJIFILMCCD-RAW 0201FF383501".to_vec();
    raf.resize(84, 0);
    raf.extend(92u32.to_be_bytes());
    raf.extend(u32::try_from(inner.len()).unwrap().to_be_bytes());
    says(&[raf, inner].concat(), EXIF_SAYS);
}
