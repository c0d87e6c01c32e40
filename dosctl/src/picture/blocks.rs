//! Half blocks: every cell shows two pixels, the upper one in the colour of its text and the lower one in that behind it.
//!
//! SGR 38 and 48 (ISO 8613-6), with `2;R;G;B` or `5;N`. A colour is written only where it changes, and reset at the end
//! of every line, so that nothing is coloured beside the picture.

use std::io::Write;

use dos_preview::Pixels;

use super::{Colours, pixel};

const UPPER_HALF: &str = "\u{2580}";

/// The levels of each colour in the cube of 6 x 6 x 6 that xterm's colours 16 to 231 are.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The bytes that draw the picture.
#[must_use]
pub(crate) fn draw(pixels: &Pixels, colours: Colours) -> Vec<u8> {
    let width = usize::try_from(pixels.width).unwrap_or(usize::MAX);
    let mut out = Vec::with_capacity(pixels.rgb.len() * 8);
    let mut rows = pixels.rgb.chunks_exact(width.saturating_mul(3).max(3));
    while let Some(upper) = rows.next() {
        line(&mut out, upper, rows.next(), colours);
    }
    out
}

fn line(out: &mut Vec<u8>, upper: &[u8], lower: Option<&[u8]>, colours: Colours) {
    let (mut front, mut back) = (None, None);
    for (index, upper) in upper.chunks_exact(3).enumerate() {
        say(out, 38, pixel(upper), &mut front, colours);
        if let Some(lower) = lower.and_then(|row| row.get(index * 3..)) {
            say(out, 48, pixel(lower), &mut back, colours);
        }
        out.extend_from_slice(UPPER_HALF.as_bytes());
    }
    out.extend_from_slice(b"\x1b[0m\n");
}

/// Writes the colour unless it is the one written last.
fn say(out: &mut Vec<u8>, which: u8, colour: [u8; 3], last: &mut Option<[u8; 3]>, colours: Colours) {
    // What the terminal cannot tell apart need not be written again.
    let colour = match colours {
        Colours::True => colour,
        Colours::Indexed => [indexed(colour), 0, 0],
    };
    if *last == Some(colour) {
        return;
    }
    *last = Some(colour);
    let [red, green, blue] = colour;
    // Writing to memory cannot fail.
    match colours {
        Colours::True => write!(out, "\x1b[{which};2;{red};{green};{blue}m"),
        Colours::Indexed => write!(out, "\x1b[{which};5;{red}m"),
    }
    .unwrap_or_default();
}

/// The nearest of xterm's colours 16 to 255: of the cube, or of the 24 greys.
#[must_use]
pub(crate) fn indexed(colour: [u8; 3]) -> u8 {
    let level = |value: u8| {
        (0u8..6).zip(CUBE).min_by_key(|(_, level)| level.abs_diff(value)).map_or(0, |(index, _)| index)
    };
    let [red, green, blue] = colour.map(level);
    let at = |level: u8| CUBE.get(usize::from(level)).copied().unwrap_or_default();
    let cube = (16 + 36 * red + 6 * green + blue, [at(red), at(green), at(blue)]);
    let mean = colour.iter().map(|&value| u16::from(value)).sum::<u16>() / 3;
    // The greys are 8, 18, ... 238.
    let step = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(u8::MAX).min(23);
    let grey = (232 + step, [8 + 10 * step; 3]);
    let distance = |other: [u8; 3]| -> u32 {
        colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    if distance(grey.1) < distance(cube.1) { grey.0 } else { cube.0 }
}
