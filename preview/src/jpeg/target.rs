//! Where the blocks of a channel go, by the scale at which the channel is wanted.
//!
//! - 1/8: only DC coefficients, each the average of a block. They are summed up in boxes at once, so that an image
//!   of any size takes the memory of a small one. Sums are linear: the bits of a refining scan are just added.
//! - 1/4, 1/2, 1 of a sequential image: samples, by an inverse transform of the lower 2 x 2, 4 x 4, 8 x 8
//!   coefficients.
//! - The same of a progressive image: all coefficients, as its later scans need to know them.

use super::frame::{Component, ZIGZAG};
use crate::PREVIEW_PIXELS_MAX;
use crate::raster::Plane;
use crate::shrink::{box_factor, to_usize};

/// The coefficients of a block in memory.
const BLOCK_BYTES: u64 = 64 * 2;

/// The most bytes that the coefficients of one progressive channel may take: those of 16 million pixels on the way to a preview, and of 67
/// million to a larger picture.
const PREVIEW_COEFFICIENT_BYTES_MAX: u64 = 32 << 20;
const COEFFICIENT_BYTES_MAX: u64 = 128 << 20;

/// What a sample is of which nothing came: grey, and no colour.
const NOTHING: u8 = 128;

/// Blocks of one channel, collected.
pub(super) enum Target {
    /// Sums of DC coefficients.
    Averages(Averages),
    /// Samples at a scale of `Transform::size` / 8.
    Samples(Samples),
    /// All coefficients, and the transform for them.
    Coefficients(Vec<[i16; 64]>, Samples),
}

/// The number of samples in each direction that a block is decoded to, 1, 2, 4 or 8: the least that leaves `needed`
/// samples on the longer side. A progressive channel whose coefficients would take more than `coefficient_bytes_max` (none of
/// a sequential one are kept) is decoded to averages, which then are as many as it takes for a sharp picture or nearly.
pub(super) fn scale(component: &Component, needed: f64, coefficient_bytes_max: Option<u64>) -> u32 {
    let blocks = u64::from(component.blocks.0) * u64::from(component.blocks.1);
    if coefficient_bytes_max.is_some_and(|max| blocks * BLOCK_BYTES > max) {
        return 1;
    }
    let long = component.covered.0.max(component.covered.1);
    [1, 2, 4].into_iter().find(|&scale| long * f64::from(scale) / 8.0 >= needed).unwrap_or(8)
}

/// The most bytes of coefficients of a channel, on the way to `side` pixels.
pub(super) fn coefficient_bytes_max(side: u32) -> u64 {
    if side <= PREVIEW_PIXELS_MAX { PREVIEW_COEFFICIENT_BYTES_MAX } else { COEFFICIENT_BYTES_MAX }
}

/// The length of the longer side that a channel needs for a picture of `wanted` pixels. Chroma needs half of it,
/// as most pictures themselves store half.
pub(super) fn needed(wanted: u32, chroma: bool) -> f64 {
    let needed = f64::from(wanted) * 1.45;
    if chroma { needed / 2.0 } else { needed }
}

impl Target {
    pub(super) fn new(component: &Component, scale: u32, progressive: bool, side: u32) -> Self {
        if scale == 1 {
            return Self::Averages(Averages::new(component.blocks, side));
        }
        let samples = Samples::new(component.blocks, to_usize(scale));
        if !progressive {
            return Self::Samples(samples);
        }
        let count = to_usize(component.blocks.0) * to_usize(component.blocks.1);
        Self::Coefficients(vec![[0; 64]; count], samples)
    }

    /// The finished plane. Bits of the DC coefficients below `low_bit` were not read.
    pub(super) fn finish(self, component: &Component, quantisation: &[u16; 64], low_bit: u32) -> Plane {
        match self {
            Self::Averages(averages) => {
                // The bits that are missing are taken to be half set.
                let missing = i32::from(quantisation[0]) * ((1 << low_bit.min(13)) - 1) / 2;
                averages.finish(component.covered, missing)
            }
            Self::Samples(samples) => samples.finish(component.covered),
            Self::Coefficients(blocks, mut samples) => {
                let columns = to_usize(component.blocks.0);
                let mut values = [0.0; 64];
                for (index, block) in blocks.iter().enumerate() {
                    for (&at, &step) in ZIGZAG.iter().zip(quantisation) {
                        values[at] = f32::from(block[at]) * f32::from(step);
                    }
                    samples.put((index % columns, index / columns), &values);
                }
                samples.finish(component.covered)
            }
        }
    }
}

/// DC coefficients in boxes of `factor` x `factor`.
pub(super) struct Averages {
    blocks: (u32, u32),
    factor: u32,
    width: usize,
    /// By the column of a block, that of its box.
    columns: Vec<usize>,
    /// By the row of a block, the first box of that row.
    rows: Vec<usize>,
    /// At most 22 x 22 values below 2^16.
    sums: Vec<i32>,
}

impl Averages {
    fn new(blocks: (u32, u32), side: u32) -> Self {
        let factor = box_factor(blocks.0, blocks.1, side);
        let (width, height) = (to_usize(blocks.0.div_ceil(factor)), to_usize(blocks.1.div_ceil(factor)));
        Self {
            blocks,
            factor,
            width,
            columns: (0..blocks.0).map(|x| to_usize(x / factor)).collect(),
            rows: (0..blocks.1).map(|y| to_usize(y / factor) * width).collect(),
            sums: vec![0; width * height],
        }
    }

    /// Adds a dequantised DC coefficient. Blocks that only fill up an MCU are ignored.
    #[inline]
    pub(super) fn add(&mut self, (x, y): (u32, u32), value: i32) {
        if let (Some(column), Some(row)) = (self.columns.get(to_usize(x)), self.rows.get(to_usize(y)))
            && let Some(sum) = self.sums.get_mut(row + column)
        {
            *sum += value.clamp(-0x8000, 0x7fff);
        }
    }

    fn finish(self, covered: (f64, f64), missing: i32) -> Plane {
        let extent = |index: usize, total: u32| {
            let start = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(self.factor);
            i32::try_from(total.saturating_sub(start).min(self.factor).max(1)).unwrap_or(1)
        };
        let mut samples = Vec::with_capacity(self.sums.len());
        for (y, row) in self.sums.chunks_exact(self.width).enumerate() {
            let rows = extent(y, self.blocks.1);
            for (x, sum) in row.iter().enumerate() {
                // A DC coefficient is eight times the average of its block, less 128.
                let blocks = rows * extent(x, self.blocks.0);
                let sum = sum + blocks * (missing + 4);
                // Divisions take a while, and most images have one block in a box.
                let average = if blocks == 1 { sum >> 3 } else { sum.div_euclid(8 * blocks) } + 128;
                samples.push(u8::try_from(average.clamp(0, 255)).unwrap_or(u8::MAX));
            }
        }
        let scale = 8.0 * f64::from(self.factor);
        Plane {
            samples,
            width: self.blocks.0.div_ceil(self.factor),
            height: self.blocks.1.div_ceil(self.factor),
            channels: 1,
            covered_width: covered.0 / scale,
            covered_height: covered.1 / scale,
        }
    }
}

/// Samples at `size` / 8 of the full resolution.
pub(super) struct Samples {
    size: usize,
    columns: usize,
    rows: usize,
    /// cos((2 x + 1) u pi / 2 size) / 2, by x, then u; for u = 0 that divided by the square root of 2.
    basis: [[f32; 8]; 8],
    samples: Vec<u8>,
}

impl Samples {
    fn new(blocks: (u32, u32), size: usize) -> Self {
        let (columns, rows) = (to_usize(blocks.0), to_usize(blocks.1));
        let mut basis = [[0.0; 8]; 8];
        for (x, row) in (0u8..).zip(basis.iter_mut().take(size)) {
            let half_turns = f32::from(2 * x + 1) / [2.0, 4.0, 8.0, 16.0][size.ilog2().min(3) as usize];
            for (u, value) in (0u8..).zip(row.iter_mut().take(size)) {
                let norm = if u == 0 { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
                *value = norm / 2.0 * (half_turns * f32::from(u) * std::f32::consts::PI).cos();
            }
        }
        Self { size, columns, rows, basis, samples: vec![NOTHING; columns * rows * size * size] }
    }

    /// The last coefficient that matters, in the order of the file.
    pub(super) fn last_coefficient(&self) -> usize {
        match self.size {
            2 => 4,
            4 => 24,
            _ => 63,
        }
    }

    /// Transforms a block of dequantised coefficients. Blocks that only fill up an MCU are ignored.
    pub(super) fn put(&mut self, place: (usize, usize), block: &[f32; 64]) {
        match self.size {
            2 => self.put_sized::<2>(place, block),
            4 => self.put_sized::<4>(place, block),
            _ => self.put_sized::<8>(place, block),
        }
    }

    fn put_sized<const N: usize>(&mut self, (x, y): (usize, usize), block: &[f32; 64]) {
        if x >= self.columns || y >= self.rows {
            return;
        }
        // Columns first: partial[row of samples][column of coefficients].
        let mut partial = [[0.0f32; N]; N];
        for (basis, row) in self.basis.iter().zip(partial.iter_mut()) {
            for (v, &factor) in basis.iter().take(N).enumerate() {
                for (sum, &value) in row.iter_mut().zip(&block[v * 8..]) {
                    *sum += factor * value;
                }
            }
        }
        let stride = self.columns * N;
        let start = y * N * stride + x * N;
        for (row, target) in partial.iter().zip(self.samples[start..].chunks_mut(stride)) {
            for (basis, sample) in self.basis.iter().zip(target.iter_mut().take(N)) {
                let sum: f32 = basis.iter().zip(row).map(|(factor, value)| factor * value).sum();
                *sample = to_sample(sum);
            }
        }
    }

    fn finish(self, covered: (f64, f64)) -> Plane {
        let length = |blocks: usize| u32::try_from(blocks * self.size).unwrap_or(u32::MAX);
        let scale = if self.size == 2 {
            0.25
        } else if self.size == 4 {
            0.5
        } else {
            1.0
        };
        Plane {
            width: length(self.columns),
            height: length(self.rows),
            channels: 1,
            covered_width: covered.0 * scale,
            covered_height: covered.1 * scale,
            samples: self.samples,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float saturates, which is what is wanted")]
fn to_sample(value: f32) -> u8 {
    (value + 128.5) as u8
}
