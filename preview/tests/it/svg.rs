//! SVG: drawn at the size of the preview, from the file alone; what takes too much is refused before it is drawn.

use std::time::{Duration, Instant};

use dos_preview::{Format, PreviewError, Warning, scale};

use crate::samples::{make, pixels};

fn svg(attributes: &str, body: &str) -> Vec<u8> {
    let namespaces = "xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'";
    format!("<?xml version='1.0'?>\n<svg {namespaces} {attributes}>{body}</svg>").into_bytes()
}

#[test]
fn it_is_drawn_as_large_as_previews_are_on_white() {
    let file = svg("width='40' height='20'", "<rect width='20' height='20' fill='#c81e1e'/>");
    let shown = make(&file).unwrap();
    assert_eq!((shown.format, shown.width, shown.height), (Format::Svg, 40, 20));
    assert_eq!((shown.preview.width, shown.preview.height, shown.warning), (256, 128, None));
    let drawn = pixels(&shown);
    let near = |at: (u32, u32), wanted: [u8; 3]| {
        let got = drawn.get_pixel(at.0, at.1).0;
        assert!(got.iter().zip(wanted).all(|(got, wanted)| got.abs_diff(wanted) <= 6), "{at:?}: {got:?}");
    };
    near((60, 60), [200, 30, 30]);
    near((190, 60), [255, 255, 255]);
    let large = scale(std::io::Cursor::new(&file), (1000, 1000)).unwrap();
    assert_eq!((large.width, large.height), (1000, 500));
}

#[test]
fn what_is_drawn_by_reference_is_there() {
    let body = "<defs><linearGradient id='g'><stop stop-color='blue'/></linearGradient>\
         <filter id='f'><feGaussianBlur stdDeviation='1'/></filter>\
         <clipPath id='c'><rect width='50' height='100'/></clipPath>\
         <symbol id='s'><rect width='100' height='100' fill='url(#g)'/></symbol></defs>\
         <g clip-path='url(#c)' filter='url(#f)'><use xlink:href='#s'/></g>";
    let drawn = pixels(&make(&svg("viewBox='0 0 100 100'", body)).unwrap());
    assert!(
        drawn.get_pixel(60, 128).0[2] > 200 && drawn.get_pixel(60, 128).0[0] < 60,
        "{:?}",
        drawn.get_pixel(60, 128)
    );
    assert!(drawn.get_pixel(200, 128).0.iter().all(|sample| *sample > 245));
}

#[test]
fn text_and_pictures_are_left_out_with_a_warning_and_no_file_is_read() {
    let directory = std::env::temp_dir().join(format!("dos-svg-{}.png", std::process::id()));
    image::RgbImage::new(9, 9).save(&directory).unwrap();
    let path = directory.display().to_string();
    for body in [
        "<text x='1' y='9'>hello</text>".to_owned(),
        format!("<image width='90' height='90' xlink:href='{path}'/>"),
        format!("<image width='90' height='90' href='file://{path}'/>"),
        "<image width='90' height='90' href='data:image/png;base64,iVBORw0KGgo='/>".to_owned(),
    ] {
        let shown = make(&svg("width='90' height='90'", &body)).unwrap();
        assert_eq!(shown.warning, Some(Warning::Omitted), "{body}");
        assert!(pixels(&shown).iter().all(|sample| *sample > 250), "{body}");
    }
    std::fs::remove_file(&directory).unwrap();
    let entity =
        format!("<!DOCTYPE svg [<!ENTITY e SYSTEM 'file://{path}'>]><svg width='9' height='9'>&e;</svg>");
    assert!(matches!(make(entity.as_bytes()), Ok(_) | Err(PreviewError::Damaged(..))));
    assert_eq!(make(&svg("width='9' height='9'", "<text> </text>")).unwrap().warning, None);
}

/// Drawings that would take gigabytes or hours.
#[expect(clippy::too_many_lines, reason = "a table")]
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let canvas = "viewBox='0 0 100 100'";
    let doubled = |make: &dyn Fn(usize) -> String| (1..40).map(make).collect::<String>();
    let lines: String = (0..60_000).map(|n| format!("L{} {}", n * 7919 % 100, n % 2 * 100)).collect();
    let layers = |n: usize| {
        format!("{}{}", "<g opacity='.5'><rect width='100' height='100'/>".repeat(n), "</g>".repeat(n))
    };
    vec![
        (
            "use",
            svg(
                canvas,
                &format!(
                    "<g id='a0'><path d='M0 0h9v9'/></g>{}",
                    doubled(&|n| {
                        format!("<g id='a{n}'><use href='#a{m}'/><use href='#a{m}'/></g>", m = n - 1)
                    })
                ),
            ),
        ),
        (
            "patterns",
            svg(
                canvas,
                &format!(
                    "{}<rect width='100' height='100' fill='url(#p39)'/>",
                    doubled(&|n| {
                        format!(
                            "<pattern id='p{n}' width='9' height='9' patternUnits='userSpaceOnUse'>{}</pattern>",
                            format!("<rect width='9' height='9' fill='url(#p{})'/>", n - 1).repeat(9)
                        )
                    })
                ),
            ),
        ),
        (
            "pattern",
            svg(
                "viewBox='0 0 1 1'",
                "<pattern id='p' width='1e6' height='1e6' patternUnits='userSpaceOnUse'>\
            <rect width='1' height='1'/></pattern><rect width='1' height='1' fill='url(#p)'/>",
            ),
        ),
        ("dashes", svg(canvas, "<path d='M0 0H100' stroke='red' stroke-dasharray='0.00001'/>")),
        ("crossing lines", svg(canvas, &format!("<path d='M0 0{lines}'/>"))),
        ("crossing strokes", svg(canvas, &format!("<path fill='none' stroke='red' d='M0 0{lines}'/>"))),
        ("large shapes", svg(canvas, &"<path fill-opacity='.1' d='M0 0H100L50 100z'/>".repeat(20_000))),
        (
            "turbulence",
            svg(
                canvas,
                "<filter id='f'><feTurbulence baseFrequency='9' numOctaves='99999999'/></filter>\
            <rect width='99' height='99' filter='url(#f)'/>",
            ),
        ),
        (
            "convolution",
            svg(
                canvas,
                &format!(
                    "<filter id='f'><feConvolveMatrix order='99' kernelMatrix='{}'/></filter>\
            <rect width='99' height='99' filter='url(#f)'/>",
                    "1 ".repeat(9801)
                ),
            ),
        ),
        (
            "blurs",
            svg(
                canvas,
                &format!(
                    "<filter id='f'>{}</filter>{}",
                    "<feGaussianBlur stdDeviation='99'/>".repeat(30),
                    "<rect width='99' height='99' filter='url(#f)'/>".repeat(900)
                ),
            ),
        ),
        (
            "filters of all",
            svg(
                canvas,
                &format!(
                    "<filter id='f' x='-9' y='-9' width='99' height='99'>\
            <feGaussianBlur stdDeviation='9'/></filter>{}",
                    "<rect width='99' height='99' filter='url(#f)'/>".repeat(900)
                ),
            ),
        ),
        (
            "markers",
            svg(
                canvas,
                &format!(
                    "<marker id='m'><path d='M0 0h9v9'/></marker>\
            <path marker-mid='url(#m)' d='M0 0{}'/>",
                    "h1v1".repeat(60_000)
                ),
            ),
        ),
        ("depth", svg(canvas, &format!("{}{}", "<g>".repeat(100_000), "</g>".repeat(100_000)))),
        ("layers", svg(canvas, &layers(63))),
        (
            "attributes",
            svg(canvas, &format!("<rect {}/>", (0..90_000).map(|n| format!("a{n}='' ")).collect::<String>())),
        ),
        (
            "entities",
            [
                b"<!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'>]>"
                    .to_vec(),
                svg(canvas, &"&a;".repeat(300_000)),
            ]
            .concat(),
        ),
        ("elements", svg(canvas, &"<g/>".repeat(200_000))),
        (
            "rules",
            svg(canvas, &format!("<style>{}</style>{}", "a b c{}".repeat(20_000), "<g/>".repeat(9000))),
        ),
        ("size", svg(canvas, &"<!-- -->".repeat(400_000))),
        ("width", svg("width='1e30' height='1e-30'", "<rect width='1e30' height='1e-30'/>")),
    ]
}

#[test]
fn bombs_are_refused_or_drawn_in_time() {
    for (name, file) in bombs() {
        let start = Instant::now();
        let outcome = make(&file);
        assert!(start.elapsed() < Duration::from_secs(2), "{name}: {:?}", start.elapsed());
        if let Err(error) = outcome {
            let expected = matches!(
                error,
                PreviewError::TooLarge { .. } | PreviewError::Damaged(..) | PreviewError::Unsupported(_)
            );
            assert!(expected, "{name}: {error}");
        }
    }
}

#[test]
fn what_takes_too_much_is_refused_by_what_it_takes() {
    let refused = [
        "use",
        "patterns",
        "pattern",
        "dashes",
        "crossing lines",
        "turbulence",
        "convolution",
        "blurs",
        "markers",
        "depth",
        "attributes",
        "entities",
        "elements",
        "rules",
        "size",
    ];
    for (name, file) in bombs().into_iter().filter(|(name, _)| refused.contains(name)) {
        let error = make(&file).expect_err(name);
        assert!(
            matches!(error, PreviewError::TooLarge { .. } | PreviewError::Unsupported(_)),
            "{name}: {error}"
        );
    }
}

#[test]
fn nothing_in_a_file_makes_it_panic() {
    let body = "<style>.a{fill:url(#g)}</style><linearGradient id='g'><stop offset='.5' stop-color='#123'/></linearGradient>\
        <path class='a' d='M1 2C3 4 5 6 7 8a1 2 3 0 1 4 5z' stroke='red' stroke-dasharray='1 2' transform='rotate(9)'/>\
        <use href='#g' x='-1e9'/><mask id='m'><circle r='9'/></mask><g mask='url(#m)'><ellipse rx='9' ry='1'/></g>";
    let whole = svg("width='9mm' height='50%' viewBox='-1 -2 30 40'", body);
    for at in 0..whole.len() {
        for byte in [b'9', b'<', b'-', 0] {
            let mut odd = whole.clone();
            odd[at] = byte;
            drop(make(&odd));
        }
        drop(make(&whole[..at]));
    }
}
