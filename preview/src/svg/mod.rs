//! SVG, by `resvg`: drawn at the size that is wanted, as it has no pixels of its own.
//!
//! Nothing but the file is read: there are no links to other files or to the network, no scripts, and no fonts of the system. Text, embedded pictures
//! and foreign content are left out, with a warning. What a drawing costs is bounded three times, before it can: by the text alone ([`lexical`]), by what
//! references make of its elements ([`expansion`]), and by what each of its shapes, layers and filters takes to draw ([`cost`]). What goes
//! beyond is not drawn.

mod cost;
mod expansion;
mod lexical;

use std::io::{BufRead, Read, Seek, SeekFrom};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{self, ImageHrefResolver, Options, Tree, roxmltree};

use crate::exif::Orientation;
use crate::raster::{Colour, Decoded, Plane};
use crate::{Format, PreviewError, SIDE_PIXELS_MAX, Warning, finish};

/// The most bytes of a file. Everything that is made of it takes up to thirty times as much while it is read.
const FILE_BYTES_MAX: u64 = 2 << 20;

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    if file_len > FILE_BYTES_MAX {
        let what = "size of the drawing in bytes";
        return Err(PreviewError::TooLarge { what, actual: file_len, max: FILE_BYTES_MAX });
    }
    let mut file = Vec::new();
    (&mut *input).take(FILE_BYTES_MAX).read_to_end(&mut file)?;
    let text =
        str::from_utf8(&file).map_err(|_| PreviewError::Unsupported("SVG in another encoding than UTF-8"))?;
    lexical::check(text)?;
    let (tree, omitted) = parse(text)?;
    drop(file);
    let told = (pixels(tree.size().width()), pixels(tree.size().height()));
    // Without pixels of its own nothing is gained by a smaller one.
    let (width, height) =
        finish::fit((told.0.saturating_mul(side), told.1.saturating_mul(side)), (side, side));
    let canvas = draw(&tree, (width, height))?;
    let samples = canvas.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Ok(Decoded {
        width,
        height,
        told: Some(told),
        orientation: Orientation::default(),
        planes: vec![Plane {
            samples,
            width,
            height,
            channels: 3,
            covered_width: f64::from(width),
            covered_height: f64::from(height),
        }],
        colour: Colour::Rgb,
        space: None,
        warning: omitted.then_some(Warning::Omitted),
    })
}

/// Reads the drawing; tells whether something in it is left out.
fn parse(text: &str) -> Result<(Tree, bool), PreviewError> {
    let reading = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: lexical::NODES_MAX,
        ..roxmltree::ParsingOptions::default()
    };
    let document = roxmltree::Document::parse_with_options(text, reading).map_err(|error| match error {
        roxmltree::Error::NodesLimitReached => {
            let max = lexical::NODES_MAX.into();
            too_large("number of its elements and texts", u64::from(lexical::NODES_MAX) + 1, max)
        }
        _ => damaged("it is no proper XML"),
    })?;
    expansion::check(&document)?;
    let omitted = document.descendants().any(is_omitted);
    let options = Options {
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    let tree = Tree::from_xmltree(&document, &options).map_err(|error| match error {
        usvg::Error::InvalidSize => damaged("it has no size"),
        _ => damaged("it is no proper SVG"),
    })?;
    Ok((tree, omitted))
}

/// Whether an element is one of those that are not drawn.
fn is_omitted(node: roxmltree::Node<'_, '_>) -> bool {
    match node.tag_name().name() {
        "text" => node.descendants().any(|node| node.text().is_some_and(|text| !text.trim().is_empty())),
        "image" | "foreignObject" => node.is_element(),
        _ => false,
    }
}

/// Draws on white.
fn draw(tree: &Tree, size: (u32, u32)) -> Result<Pixmap, PreviewError> {
    let scale = |to: u32, from: f32| f32::from(u16::try_from(to).unwrap_or(u16::MAX)) / from;
    let transform =
        Transform::from_scale(scale(size.0, tree.size().width()), scale(size.1, tree.size().height()));
    cost::check(tree, transform, size)?;
    let mut canvas = Pixmap::new(size.0, size.1).ok_or_else(|| damaged("it has no size"))?;
    canvas.fill(Color::WHITE);
    resvg::render(tree, transform, &mut canvas.as_mut());
    Ok(canvas)
}

/// A length as whole pixels.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is clamped to the range before"
)]
fn pixels(length: f32) -> u32 {
    (length.ceil().clamp(1.0, 65_535.0) as u32).min(SIDE_PIXELS_MAX)
}

fn damaged(why: &str) -> PreviewError {
    PreviewError::damaged(Format::Svg, why)
}

fn too_large(what: &'static str, actual: u64, max: u64) -> PreviewError {
    PreviewError::TooLarge { what, actual, max }
}
