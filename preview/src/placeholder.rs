//! The preview of what cannot be decoded: a picture that shows its format, its name and its size.

mod font;

use std::io::{BufRead, Seek};

use crate::{Format, Picture, Preview, PreviewError, finish, format_of, make_within};

const WIDTH: usize = 256;
const HEIGHT: usize = 192;
const GROUND: u8 = 236;
const PAPER: u8 = 250;
const LINE: u8 = 168;
const INK: u8 = 64;
/// The most characters of the name; a longer one loses its middle.
const NAME_CHARACTERS_MAX: usize = 20;

/// What is known of a file beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its name, as it is shown.
    pub name: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Whether it may be any file: also no image, and one that is too damaged to show anything.
    pub any: bool,
    /// The longest side of its preview, in pixels, as in [`make_within`].
    pub side: u32,
}

/// What came of looking at a file.
#[derive(Debug)]
pub enum Looked {
    /// It was decoded.
    Picture(Picture),
    /// It was not.
    Placeholder {
        /// What it is by its first bytes.
        format: Format,
        /// The placeholder.
        preview: Preview,
        /// Why.
        why: PreviewError,
    },
}

/// Makes the preview of a file as [`make_within`] does, or a placeholder where its format, its kind or its size are not decoded.
///
/// # Errors
///
/// Unless it may be any file: [`PreviewError::NotAnImage`], and [`PreviewError::Damaged`] for a JPEG, PNG, WebP or GIF of which
/// nothing can be shown. [`PreviewError::Io`] when reading fails.
pub fn look<R: BufRead + Seek>(mut input: R, known: Known<'_>) -> Result<Looked, PreviewError> {
    let why = match make_within(&mut input, known.side) {
        Ok(picture) => return Ok(Looked::Picture(picture)),
        Err(error) => error,
    };
    let format = format_of(&mut input)?;
    let refused = match (&why, format) {
        (PreviewError::Io(_), _) => true,
        (_, None) => !known.any,
        // Other formats have more dialects than their decoders know.
        (PreviewError::Damaged(..), Some(Format::Jpeg | Format::Png | Format::WebP | Format::Gif)) => {
            !known.any
        }
        _ => false,
    };
    if refused {
        return Err(why);
    }
    let format = format.unwrap_or(Format::Other);
    let preview = placeholder(format, known.name, known.bytes)?;
    Ok(Looked::Placeholder { format, preview, why })
}

/// Draws the placeholder of a file of `bytes` bytes that is known as `name`.
fn placeholder(format: Format, name: &str, bytes: u64) -> Result<Preview, PreviewError> {
    let mut canvas = Canvas { pixels: vec![GROUND; WIDTH * HEIGHT] };
    canvas.sheet();
    let title = format.title();
    canvas.text(title, 96, if title.len() > 9 { 3 } else { 4 });
    canvas.text(&shortened(name), 140, 2);
    canvas.text(&size(bytes), 164, 2);
    finish::preview(&canvas.pixels, 1, (256, 192))
}

/// Grey pixels.
struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    fn put(&mut self, x: usize, y: usize, value: u8) {
        if x < WIDTH
            && let Some(pixel) = self.pixels.get_mut(y * WIDTH + x)
        {
            *pixel = value;
        }
    }

    fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), value: u8) {
        for y in top..top + height {
            for x in left..left + width {
                self.put(x, y, value);
            }
        }
    }

    /// A sheet with a folded corner, and on it a mountain and a sun.
    fn sheet(&mut self) {
        let (left, top, width, height, fold) = (100, 16, 56, 66, 16);
        self.fill((left, top), (width, height), LINE);
        self.fill((left + 2, top + 2), (width - 4, height - 4), PAPER);
        for step in 0..fold {
            self.fill((left + width - fold + step, top), (fold - step, 1), GROUND);
            self.fill((left + width - fold, top + step), (step + 1, 1), LINE);
            self.fill((left + width - fold + step + 1, top + step), (fold - step, 1), GROUND);
        }
        for step in 0..22 {
            self.fill((left + 24 - step / 2 - 4, top + 34 + step), (step + 1, 1), LINE);
        }
        for step in 0..14 {
            self.fill((left + 40 - step / 2, top + 42 + step), (step + 1, 1), LINE);
        }
        self.fill((left + 10, top + 16), (8, 8), LINE);
    }

    /// Text in the middle of a line, each of its pixels `scale` wide and high.
    fn text(&mut self, text: &str, top: usize, scale: usize) {
        let count = text.chars().count();
        let width = (count * font::ADVANCE).saturating_sub(1) * scale;
        let mut left = WIDTH.saturating_sub(width) / 2;
        for character in text.chars() {
            for (row, bits) in font::glyph(character).into_iter().enumerate() {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    self.fill((left + column * scale, top + row * scale), (scale, scale), INK);
                }
            }
            left += font::ADVANCE * scale;
        }
    }
}

/// The name as it is shown.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME_CHARACTERS_MAX {
        return name.to_owned();
    }
    let start = (NAME_CHARACTERS_MAX - 3) / 2;
    let end = NAME_CHARACTERS_MAX - 3 - start;
    name.chars().take(start).chain("...".chars()).chain(name.chars().skip(count - end)).collect()
}

/// The size in words: three digits at most, in units of a thousand.
fn size(bytes: u64) -> String {
    let (mut value, mut rest) = (bytes, 0);
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000 || unit == "TB" {
            return if value < 10 && unit != "B" {
                format!("{value}.{} {unit}", rest / 100)
            } else {
                format!("{value} {unit}")
            };
        }
        (value, rest) = (value / 1000, value % 1000);
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes_are_short() {
        assert_eq!(shortened("sea.heic"), "sea.heic");
        assert_eq!(shortened("a-holiday-by-the-sea-2024.heic"), "a-holida...2024.heic");
        assert_eq!(shortened(&"é".repeat(21)), format!("{}...{}", "é".repeat(8), "é".repeat(9)));
        for (bytes, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (48_200_000, "48 MB"),
        ] {
            assert_eq!(size(bytes), words);
        }
        assert_eq!(size(u64::MAX), "18446744 TB");
    }

    #[test]
    fn a_placeholder_of_anything_is_a_small_preview() {
        for name in ["", "sea.heic", "海.heic", &"x".repeat(300)] {
            for format in Format::ALL {
                let preview = placeholder(format, name, u64::MAX).unwrap();
                assert_eq!((preview.width, preview.height), (256, 192));
                assert!((1_000..12_000).contains(&preview.jpeg.len()), "{format} {}", preview.jpeg.len());
            }
        }
        let of = |name| placeholder(Format::Heic, name, 5).unwrap().jpeg;
        assert_ne!(of("a"), of("b"), "the name is in it");
        assert_ne!(of("a"), placeholder(Format::Pdf, "a", 5).unwrap().jpeg, "the format is in it");
        assert_ne!(of("a"), placeholder(Format::Heic, "a", 6).unwrap().jpeg, "the size is in it");
    }
}
