//! Puts the planes of tiles together, laid on white, cropped, and averaged on the way.

use super::frame::Frame;
use super::header::Header;
use crate::heif::{Picture, properties::Window};
use crate::raster::Plane;
use crate::shrink::{Shrinker, to_usize};

/// Where the planes of tiles become those of a picture.
pub(super) struct Canvas {
    kind: Header,
    tile: (u32, u32),
    /// What is shown of the whole.
    window: Window,
    whole: (u32, u32),
    planes: Vec<Shrinker>,
    /// Whether planes hold differences of colour, which lie around 128: all but the first, unless they are colours themselves.
    differences: bool,
    premultiplied: bool,
    /// Columns and rows that tiles have reached.
    reached: (u32, u32),
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    row: Vec<u8>,
    opacity: Vec<u8>,
    sums: Vec<u16>,
}

impl Canvas {
    /// A canvas for a picture whose first tile is this one.
    pub(super) fn new(picture: &Picture, first: &Frame, side: u32) -> Self {
        // A single tile says itself how large it is.
        let whole = if picture.tiles.len() == 1 { first.size() } else { picture.size };
        let window = picture.window.filter(|window| {
            whole == picture.size && window.0 + window.2 <= whole.0 && window.1 + window.3 <= whole.1
        });
        let window = window.unwrap_or((0, 0, whole.0, whole.1));
        let planes = (0..first.planes()).map(|plane| {
            let (across, down) = first.coarser(plane);
            Shrinker::new((window.2.div_ceil(1 << across), window.3.div_ceil(1 << down)), 1, side)
        });
        let matrix = picture.codes.map_or(first.header.matrix.into(), |codes| codes.matrix);
        Self {
            kind: first.header,
            tile: first.size(),
            window,
            whole,
            planes: planes.collect(),
            differences: matrix != 0,
            premultiplied: picture.premultiplied,
            reached: (0, 0),
            buffers: Buffers::default(),
        }
    }

    /// The size of what is shown.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.window.2, self.window.3)
    }

    /// Whether tiles were put everywhere.
    pub(super) fn is_covered(&self) -> bool {
        self.reached.0 >= self.whole.0 && self.reached.1 >= self.whole.1
    }

    /// Puts a tile at its place, if it is like the first.
    pub(super) fn put(&mut self, tile: &Frame, opacity: Option<&Frame>, at: (u32, u32)) -> bool {
        let alike = tile.header.chroma == self.kind.chroma && tile.size() == self.tile;
        if !alike || opacity.is_some_and(|opacity| opacity.size() != self.tile) {
            return false;
        }
        for plane in 0..self.planes.len() {
            let (across, down) = tile.coarser(plane);
            // Where the plane of the tile lies in that of the window.
            let left = i64::from(at.0 >> across) - i64::from(self.window.0 >> across);
            let top = i64::from(at.1 >> down) - i64::from(self.window.1 >> down);
            for y in 0..tile.plane_size(plane).1 {
                let Ok(to) = u32::try_from(top + i64::from(y)) else { continue };
                if to < self.window.3.div_ceil(1 << down) {
                    self.row(tile, opacity, (plane, y));
                    self.add(plane, left, to);
                }
            }
        }
        self.reached.0 = self.reached.0.max(at.0.saturating_add(self.tile.0));
        self.reached.1 = self.reached.1.max(at.1.saturating_add(self.tile.1));
        true
    }

    /// Reads a row of a tile, and lays it on white.
    fn row(&mut self, tile: &Frame, opacity: Option<&Frame>, (plane, y): (usize, u32)) {
        let differences = self.differences && plane > 0;
        let Buffers { row, opacity: shares, sums } = &mut self.buffers;
        tile.row(plane, y, differences, row);
        let Some(opacity) = opacity else { return };
        let (across, down) = tile.coarser(plane);
        sums.clear();
        sums.resize(row.len(), 0);
        // A sample of a coarse plane stands for several pixels, and so for their opacity together.
        let rows = (y << down..).take(1 << down).take_while(|y| *y < self.tile.1);
        let mut count = 0;
        for y in rows {
            opacity.row(0, y, false, shares);
            for (sum, pair) in sums.iter_mut().zip(shares.chunks(1 << across)) {
                // The last column may stand alone.
                let (first, last) = (pair[0], pair[pair.len() - 1]);
                *sum += if across == 0 { first.into() } else { u16::from(first) + u16::from(last) };
            }
            count += 1u32 << across;
        }
        let ground: u32 = if differences { 128 } else { 255 };
        for (sample, &sum) in row.iter_mut().zip(sums.iter()) {
            let share = (u32::from(sum) + count / 2) / count.max(1);
            let colour = u32::from(*sample);
            let laid = match (self.premultiplied, differences) {
                (false, _) => (colour * share + ground * (255 - share) + 127) / 255,
                (true, false) => colour + 255 - share,
                (true, true) => colour,
            };
            *sample = u8::try_from(laid).unwrap_or(u8::MAX);
        }
    }

    /// Adds the row that was read to a plane, `left` samples from its left side.
    fn add(&mut self, plane: usize, left: i64, y: u32) {
        let across = if plane > 0 { self.kind.chroma.map_or(0, |(across, _)| u32::from(across)) } else { 0 };
        let width = self.window.2.div_ceil(1 << across);
        let row = &self.buffers.row;
        let skipped = usize::try_from(-left).unwrap_or(0);
        let left = u32::try_from(left).unwrap_or(0);
        let row = row.get(skipped..).unwrap_or_default();
        let row = &row[..row.len().min(to_usize(width.saturating_sub(left)))];
        if row.len() == to_usize(width) {
            self.planes[plane].add_row(y, row);
        } else if !row.is_empty() {
            self.planes[plane].add_sparse(y, (left, 1), row);
        }
    }

    /// The planes, each at its own scale.
    pub(super) fn finish(self) -> Vec<Plane> {
        let (width, height) = self.size();
        let chroma = self.kind.chroma.unwrap_or_default();
        let planes = self.planes.into_iter().enumerate().map(|(index, plane)| {
            let mut plane = plane.finish();
            if index > 0 {
                // The last sample of a coarse plane may stand out of the picture.
                let part = |side: u32, by: u8| {
                    f64::from(side) / f64::from(1u32 << by) / f64::from(side.div_ceil(1 << by))
                };
                plane.covered_width *= part(width, chroma.0);
                plane.covered_height *= part(height, chroma.1);
            }
            plane
        });
        planes.collect()
    }
}
