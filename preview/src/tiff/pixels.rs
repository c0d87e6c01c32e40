//! Rows of samples as bytes of colours, into the shrinkers: one with all channels, or one for each.

use super::layout::{Alpha, Chunk, Ink, Layout};
use super::{row_of, visible};
use crate::raster::{Colour, Plane};
use crate::shrink::Shrinker;

pub(super) struct Rows<'a> {
    layout: &'a Layout,
    shrinkers: Vec<Shrinker>,
    /// The samples of a row as bytes, and what becomes of them.
    bytes: Vec<u8>,
    colours: Vec<u8>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(layout: &'a Layout, side: u32) -> Self {
        let (count, channels) = match layout.ink {
            Ink::Grey { .. } => (1, 1),
            Ink::Palette(_) => (1, 3),
            Ink::Rgb | Ink::Ycc if !layout.planar => (1, 3),
            Ink::Rgb | Ink::Ycc => (3, 1),
            Ink::Cmyk => (4, 1),
        };
        let size = (layout.width, layout.height);
        let shrinkers = (0..count).map(|_| Shrinker::new(size, channels, side)).collect();
        Self { layout, shrinkers, bytes: Vec::new(), colours: Vec::new() }
    }

    /// Takes row `index` of a chunk, as it was stored; it is changed on the way.
    pub(super) fn add(&mut self, chunk: &Chunk, index: u32, row: &mut [u8], little: bool) {
        let (layout, stride) = (self.layout, self.layout.stride());
        if layout.differences {
            sum_up(row, layout.bits, stride, little);
        }
        self.bytes.clear();
        let indexed = matches!(layout.ink, Ink::Palette(_));
        to_bytes(row, (layout.bits, little, indexed), &mut self.bytes);
        let count = visible(layout, chunk);
        self.colours.clear();
        let y = row_of(chunk, index);
        match &layout.ink {
            Ink::Palette(palette) => {
                for pixel in self.bytes.chunks_exact(stride).take(count) {
                    let colour = palette.get(usize::from(pixel[0])).copied().unwrap_or_default();
                    self.colours.extend_from_slice(&colour);
                }
                self.put(0, chunk, y);
            }
            _ if layout.planar => {
                let inverted = layout.ink == Ink::Grey { inverted: true };
                let values = self.bytes.iter().take(count);
                self.colours.extend(values.map(|&value| if inverted { 255 - value } else { value }));
                let plane = if self.shrinkers.len() == 1 { 0 } else { chunk.plane };
                self.put(plane, chunk, y);
            }
            Ink::Cmyk => {
                for ink in 0..4 {
                    self.colours.clear();
                    self.colours.extend(self.bytes.chunks_exact(stride).take(count).map(|pixel| pixel[ink]));
                    self.put(ink, chunk, y);
                }
            }
            ink => {
                let (inverted, colours) = (*ink == Ink::Grey { inverted: true }, layout.colours());
                let alpha = if stride > colours { layout.alpha } else { Alpha::None };
                if (inverted, alpha, stride) == (false, Alpha::None, colours) {
                    self.colours.extend_from_slice(&self.bytes[..count * stride]);
                } else {
                    for pixel in self.bytes.chunks_exact(stride).take(count) {
                        let opacity = if alpha == Alpha::None { 255 } else { pixel[colours] };
                        for &value in &pixel[..colours] {
                            let value = if inverted { 255 - value } else { value };
                            self.colours.push(on_white(value, opacity, alpha));
                        }
                    }
                }
                self.put(0, chunk, y);
            }
        }
    }

    /// Takes white for a row that is missing.
    pub(super) fn add_missing(&mut self, chunk: &Chunk, index: u32) {
        let count = visible(self.layout, chunk);
        let white = if self.layout.ink == Ink::Cmyk { 0 } else { 255 };
        let planes = if self.layout.planar && self.shrinkers.len() > 1 {
            chunk.plane..chunk.plane + 1
        } else {
            0..self.shrinkers.len()
        };
        for plane in planes {
            self.colours.clear();
            self.colours.resize(count * 3, white);
            self.put(plane, chunk, row_of(chunk, index));
        }
    }

    fn put(&mut self, shrinker: usize, chunk: &Chunk, y: u32) {
        let Some(shrinker) = self.shrinkers.get_mut(shrinker) else { return };
        if chunk.left == 0 && chunk.width >= self.layout.width {
            shrinker.add_row(y, &self.colours);
        } else {
            shrinker.add_sparse(y, (chunk.left, 1), &self.colours);
        }
    }

    pub(super) fn finish(self) -> (Vec<Plane>, Colour) {
        let colour = match self.layout.ink {
            Ink::Grey { .. } => Colour::Grey,
            Ink::Rgb | Ink::Ycc | Ink::Palette(_) => Colour::Rgb,
            Ink::Cmyk => Colour::Cmyk { inverted: false },
        };
        (self.shrinkers.into_iter().map(Shrinker::finish).collect(), colour)
    }
}

fn on_white(value: u8, opacity: u8, alpha: Alpha) -> u8 {
    let (value, opacity) = (u32::from(value), u32::from(opacity));
    let light = match alpha {
        Alpha::None => value,
        Alpha::Associated => value + (255 - opacity),
        Alpha::Unassociated => (value * opacity + 255 * (255 - opacity) + 127) / 255,
    };
    u8::try_from(light).unwrap_or(u8::MAX)
}

/// Undoes the predictor of differences (TIFF 6.0 section 14).
fn sum_up(row: &mut [u8], bits: u32, stride: usize, little: bool) {
    let bytes = usize::try_from(bits / 8).unwrap_or(1).max(1);
    let distance = stride * bytes;
    if bytes == 1 {
        return match stride {
            1 => sum_up_bytes::<1>(row),
            3 => sum_up_bytes::<3>(row),
            4 => sum_up_bytes::<4>(row),
            _ => {
                for at in distance..row.len() {
                    row[at] = row[at].wrapping_add(row[at - distance]);
                }
            }
        };
    }
    for at in (distance..row.len().saturating_sub(bytes - 1)).step_by(bytes) {
        let mut carry = 0;
        for byte in 0..bytes {
            // From the lowest byte on.
            let place = if little { at + byte } else { at + bytes - 1 - byte };
            let sum = u16::from(row[place]) + u16::from(row[place - distance]) + carry;
            row[place] = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    }
}

/// The same for the common kinds. The sums stay in registers: what was written a moment ago is slow to read.
fn sum_up_bytes<const STRIDE: usize>(row: &mut [u8]) {
    let mut sums = [0u8; STRIDE];
    let (pixels, rest) = row.as_chunks_mut::<STRIDE>();
    for pixel in pixels {
        for (value, sum) in pixel.iter_mut().zip(&mut sums) {
            *sum = sum.wrapping_add(*value);
            *value = *sum;
        }
    }
    for (value, sum) in rest.iter_mut().zip(sums) {
        *value = value.wrapping_add(sum);
    }
}

/// Samples of any depth as bytes: of deep ones the highest, of shallow ones spread over the range, unless they are indexes.
fn to_bytes(row: &[u8], (bits, little, indexed): (u32, bool, bool), out: &mut Vec<u8>) {
    match bits {
        8 => out.extend_from_slice(row),
        16 | 32 => {
            let bytes = if bits == 16 { 2 } else { 4 };
            let highest = if little { bytes - 1 } else { 0 };
            out.extend(row.iter().skip(highest).step_by(bytes));
        }
        _ => {
            let most = (1u8 << bits.min(4)) - 1;
            let factor = if indexed { 1 } else { 255 / most };
            for &byte in row {
                let mut shift = 8;
                while shift >= bits {
                    shift -= bits;
                    out.push((byte >> shift & most) * factor);
                }
            }
        }
    }
}
