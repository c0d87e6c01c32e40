//! Images, through the front door of the preview: [`dos_preview::make_within`] and [`dos_preview::scale`], with their own limits.

use std::io::Cursor;

use dos_preview::{Format, SCALED_PIXELS_MAX};
use dos_protocol::{limits::THUMBHASH_BYTES_MAX, model::PreviewSize};

/// What begins like a JPEG.
pub fn jpeg(file: &[u8]) {
    if file.starts_with(b"\xff\xd8") {
        preview(file);
    }
}

/// What begins like a PNG.
pub fn png(file: &[u8]) {
    if file.starts_with(b"\x89PNG") {
        preview(file);
    }
}

/// What begins like a GIF.
pub fn gif(file: &[u8]) {
    if file.starts_with(b"GIF8") {
        preview(file);
    }
}

/// What begins like a WebP.
pub fn webp(file: &[u8]) {
    if file.starts_with(b"RIFF") {
        preview(file);
    }
}

/// What begins like a bitmap of one of the simple formats.
pub fn bitmaps(file: &[u8]) {
    let format = Format::of_head(file);
    if matches!(format, Some(Format::Bmp | Format::Qoi | Format::Pnm | Format::Tga | Format::Ico)) {
        preview(file);
    }
}

/// What begins like a file of Photoshop.
pub fn psd(file: &[u8]) {
    if file.starts_with(b"8BPS") {
        preview(file);
    }
}

/// What begins like a JPEG XL.
pub fn jxl(file: &[u8]) {
    if matches!(Format::of_head(file), Some(Format::Jxl)) {
        preview(file);
    }
}

/// What begins like an AVIF.
pub fn avif(file: &[u8]) {
    if matches!(Format::of_head(file), Some(Format::Avif)) {
        preview(file);
    }
}

/// What begins like a HEIC. Its container is read, and thumbnails in it; no program is started for what is coded with HEVC.
pub fn heic(file: &[u8]) {
    if matches!(Format::of_head(file), Some(Format::Heic)) {
        preview(file);
    }
}

/// What begins like an SVG.
pub fn svg(file: &[u8]) {
    if matches!(Format::of_head(file), Some(Format::Svg)) {
        preview(file);
    }
}

/// What is a camera's file.
pub fn raw(file: &[u8]) {
    let known = matches!(Format::of_head(file), Some(Format::Raw | Format::Tiff));
    if known && file.windows(2).any(|bytes| bytes == b"\xff\xd8") {
        preview(file);
    }
}

/// What begins like a TIFF.
pub fn tiff(file: &[u8]) {
    if matches!(Format::of_head(file), Some(Format::Tiff)) {
        preview(file);
    }
}

fn preview(file: &[u8]) {
    // When it was taken is read on its own, whatever becomes of its pixels.
    drop(dos_preview::taken(Cursor::new(file)));
    let size = if file.len() % 3 == 0 { PreviewSize::Large } else { PreviewSize::Usual };
    let Ok(picture) = dos_preview::make_within(Cursor::new(file), size.pixels()) else { return };
    let preview = picture.preview;
    assert!((1..=size.pixels()).contains(&preview.width));
    assert!((1..=size.pixels()).contains(&preview.height));
    assert!(preview.jpeg.len() <= size.bytes_max(), "a preview of {} bytes", preview.jpeg.len());
    assert!((5..=THUMBHASH_BYTES_MAX).contains(&preview.thumbhash.len()));
    // It is a JPEG of that size itself, and has none of the segments in which metadata travels.
    let again = dos_preview::make(Cursor::new(&preview.jpeg)).expect("a preview can be read");
    assert_eq!((again.width, again.height), (preview.width, preview.height));
    assert_eq!(metadata(&preview.jpeg), None);
    // Not for every one: it decodes the file a second time.
    if file.len() % 4 == 0 {
        let pixels =
            dos_preview::scale(Cursor::new(file), (640, 480)).expect("what has a preview can be scaled");
        assert!(pixels.width <= SCALED_PIXELS_MAX && pixels.height <= SCALED_PIXELS_MAX);
        assert_eq!(pixels.rgb.len() as u64, u64::from(pixels.width) * u64::from(pixels.height) * 3);
    }
}

/// The first marker of a segment for metadata (APP1 to APP15, COM) before the image's data.
fn metadata(jpeg: &[u8]) -> Option<u8> {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        match marker {
            0xe1..=0xef | 0xfe => return Some(marker),
            0xda => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    panic!("a preview without an image")
}
