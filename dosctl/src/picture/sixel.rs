//! Sixel graphics, as DEC's VT340 showed them: bands of six rows, each drawn colour by colour.
//!
//! VT330/VT340 Programmer Reference Manual, volume 2, chapter 14. The palette is fixed, a cube of 6 x 7 x 6 colours (252 of
//! the 256 that terminals have), and errors are spread to the neighbours (Floyd and Steinberg, 1976). That is quick, needs
//! no second pass, and at the pixels of a screen the grain of it is hardly seen.

use std::io::Write;

use dos_preview::Pixels;

use super::pixel;

/// How many levels red, green and blue have: the eye tells most greens apart.
const LEVELS: [u8; 3] = [6, 7, 6];

/// The colours of the palette.
const COLOURS: usize = 252;

/// The rows of a band.
const BAND: usize = 6;

/// The bytes that draw the picture.
#[must_use]
pub(crate) fn draw(pixels: &Pixels) -> Vec<u8> {
    let width = usize::try_from(pixels.width).unwrap_or(usize::MAX);
    let indices = dither(pixels, width);
    let mut out = Vec::with_capacity(indices.len() * 2);
    // Pixels that are not drawn keep their colour (P2 = 1); the aspect is 1:1.
    out.extend_from_slice(b"\x1bP0;1;0q");
    // Writing to memory cannot fail.
    write!(out, "\"1;1;{};{}", pixels.width, pixels.height).unwrap_or_default();
    for index in 0..COLOURS {
        let [red, green, blue] = colour(index).map(|value| u16::from(value) * 100 / 255);
        write!(out, "#{index};2;{red};{green};{blue}").unwrap_or_default();
    }
    for band in indices.chunks(width.saturating_mul(BAND).max(1)) {
        draw_band(&mut out, band, width);
    }
    out.extend_from_slice(b"\x1b\\\n");
    out
}

/// Draws six rows: for every colour in them a line of sixels, one over the other.
fn draw_band(out: &mut Vec<u8>, band: &[u8], width: usize) {
    let mut masks = vec![0u8; width * COLOURS];
    let mut used = [false; COLOURS];
    for (row, line) in band.chunks(width.max(1)).enumerate() {
        for (x, &index) in line.iter().enumerate() {
            let index = usize::from(index);
            if let (Some(mask), Some(used)) = (masks.get_mut(index * width + x), used.get_mut(index)) {
                *mask |= 1 << row;
                *used = true;
            }
        }
    }
    for (index, line) in masks.chunks(width.max(1)).enumerate() {
        if used.get(index) != Some(&true) {
            continue;
        }
        write!(out, "#{index}").unwrap_or_default();
        // Empty columns at the right need not be written.
        let end = line.iter().rposition(|&mask| mask != 0).map_or(0, |last| last + 1);
        for run in line.get(..end).unwrap_or_default().chunk_by(|a, b| a == b) {
            let sixel = char::from(b'?' + run.first().copied().unwrap_or_default());
            match run.len() {
                count @ 0..4 => (0..count).for_each(|_| write!(out, "{sixel}").unwrap_or_default()),
                count => write!(out, "!{count}{sixel}").unwrap_or_default(),
            }
        }
        out.push(b'$');
    }
    out.push(b'-');
}

/// The colour of an index of the palette.
fn colour(index: usize) -> [u8; 3] {
    let index = u16::try_from(index).unwrap_or_default();
    let value = |step: u16, levels: u8| {
        let level = index / step % u16::from(levels);
        u8::try_from(level * 255 / u16::from(levels - 1)).unwrap_or(u8::MAX)
    };
    [value(42, LEVELS[0]), value(6, LEVELS[1]), value(1, LEVELS[2])]
}

/// The index of the palette for every pixel.
fn dither(pixels: &Pixels, width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.rgb.len() / 3);
    // Errors for this row and the next in sixteenths, with a column more at either end.
    let mut here = vec![[0i32; 3]; width.saturating_add(2)];
    let mut next = here.clone();
    for row in pixels.rgb.chunks_exact(width.saturating_mul(3).max(3)) {
        for (x, rgb) in row.chunks_exact(3).enumerate() {
            let mut index = 0;
            for (channel, value) in pixel(rgb).into_iter().enumerate() {
                let levels = i32::from(LEVELS[channel]);
                let wanted = (i32::from(value) + here[x + 1][channel] / 16).clamp(0, 255);
                let level = (wanted * (levels - 1) + 127) / 255;
                let error = wanted - level * 255 / (levels - 1);
                here[x + 2][channel] += error * 7;
                next[x][channel] += error * 3;
                next[x + 1][channel] += error * 5;
                next[x + 2][channel] += error;
                index = index * levels + level;
            }
            out.push(u8::try_from(index).unwrap_or_default());
        }
        std::mem::swap(&mut here, &mut next);
        next.fill([0; 3]);
    }
    out
}
