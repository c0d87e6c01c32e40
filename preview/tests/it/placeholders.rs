//! What is not decoded is shown as a placeholder; what is no picture is refused.

use std::io::Cursor;

use dos_preview::{Format, Known, Looked, PreviewError, look};

use crate::samples::{jpeg, photo};

fn seen(file: &[u8], any: bool) -> Result<Looked, PreviewError> {
    look(Cursor::new(file), Known { name: "sea", bytes: 12_345, any, side: 256 })
}

fn placeholder(file: &[u8], any: bool) -> (Format, String) {
    match seen(file, any) {
        Ok(Looked::Placeholder { format, preview, why }) => {
            let shown = image::load_from_memory(&preview.jpeg).unwrap();
            assert_eq!((shown.width(), shown.height()), (preview.width, preview.height));
            (format, why.to_string())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_known_format_that_is_not_decoded_has_a_placeholder() {
    let pdf = placeholder(b"%PDF-1.7 and the rest", false);
    assert_eq!(pdf, (Format::Pdf, "PDF is not decoded".into()));
    let jp2 = placeholder(b"\0\0\0\x0cjP  \r\n\x87\n and the rest", false);
    assert_eq!(jp2, (Format::Jp2, "JPEG 2000 is not decoded".into()));
}

#[test]
fn a_rare_kind_and_what_is_too_large_have_placeholders() {
    let mut rare = jpeg(&photo(64, 64), |_| {});
    let frame = rare.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    rare[frame + 1] = 0xc3;
    assert_eq!(placeholder(&rare, false), (Format::Jpeg, "unsupported kind of image: lossless JPEG".into()));
    let huge = b"GIF89a\xff\xff\xff\xff\0\0\0;";
    let (format, why) = placeholder(huge, false);
    assert_eq!(format, Format::Gif);
    assert!(why.starts_with("image is too large"), "{why}");
}

#[test]
fn what_is_no_picture_and_what_shows_nothing_is_refused_unless_it_may_be_anything() {
    let broken = &jpeg(&photo(64, 64), |_| {})[..100];
    for (file, format) in
        [(b"dear diary".as_slice(), Format::Other), (b"", Format::Other), (broken, Format::Jpeg)]
    {
        let error = seen(file, false).unwrap_err();
        assert!(matches!(error, PreviewError::NotAnImage | PreviewError::Damaged(..)), "{error}");
        assert_eq!(placeholder(file, true).0, format);
    }
}

#[test]
fn a_picture_is_shown_as_ever() {
    let file = jpeg(&photo(300, 200), |_| {});
    let Ok(Looked::Picture(picture)) = seen(&file, true) else { panic!("no picture") };
    assert_eq!(picture, dos_preview::make(Cursor::new(&file)).unwrap());
}
