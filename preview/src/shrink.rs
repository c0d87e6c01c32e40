//! Averages rows of pixels into boxes as they come, so that an image of any size takes the memory of a small one.
//!
//! Rows may come in any order (interlaced GIF), and in parts (interlaced PNG); every pixel must come exactly once.
//! The result is never less than 1.45 times the size that is wanted: the last step from there is done by a better
//! filter.

use crate::raster::Plane;

/// The least length of the longer side that is left for the final resize to `side` pixels: 1.45 times that, rounded
/// up. Below that, aliasing of the box filter becomes visible (SSIM below 0.99).
pub(crate) fn shrunk_side_min(side: u32) -> u32 {
    side.saturating_mul(145) / 100 + 1
}

/// How many pixels in each direction are averaged into one, on the way to `side` pixels.
pub(crate) fn box_factor(width: u32, height: u32, side: u32) -> u32 {
    (width.max(height) / shrunk_side_min(side)).max(1)
}

/// Sums up pixels in boxes of `factor` x `factor`.
#[derive(Debug)]
pub(crate) struct Shrinker {
    width: u32,
    height: u32,
    channels: usize,
    factor: u32,
    out_width: usize,
    /// The sum over the rows that came last, all of the box row `pending`. At most 176 rows: 16 bits suffice.
    rows: Vec<u16>,
    pending: Option<usize>,
    /// The sums of the boxes: at most 176 x 176 x 255.
    sums: Vec<u32>,
    /// In place of the sums, where a box is a pixel.
    pixels: Vec<u8>,
}

impl Shrinker {
    /// For an image of `size` pixels (at most 65,535 each way) of `channels` bytes, on the way to `side` pixels
    /// (at least [`crate::PREVIEW_PIXELS`], which is what keeps the sums below within their bits).
    pub(crate) fn new((width, height): (u32, u32), channels: usize, side: u32) -> Self {
        let factor = box_factor(width, height, side);
        let out_width = to_usize(width.div_ceil(factor));
        let out_height = to_usize(height.div_ceil(factor));
        let samples = out_width * out_height * channels;
        let (sums, pixels) = if factor == 1 { (0, samples) } else { (samples, 0) };
        Self {
            width,
            height,
            channels,
            factor,
            out_width,
            rows: vec![0; if factor == 1 { 0 } else { to_usize(width) * channels }],
            pending: None,
            sums: vec![0; sums],
            pixels: vec![0; pixels],
        }
    }

    /// Takes one whole row of `width * channels` bytes. A row outside of the image is ignored.
    pub(crate) fn add_row(&mut self, y: u32, row: &[u8]) {
        if y >= self.height {
            return;
        }
        if self.factor == 1 {
            let stride = self.out_width * self.channels;
            let target = self.pixels[to_usize(y) * stride..].iter_mut().take(stride);
            target.zip(row).for_each(|(target, sample)| *target = *sample);
            return;
        }
        let box_row = to_usize(y / self.factor);
        if self.pending != Some(box_row) {
            self.flush();
            self.pending = Some(box_row);
        }
        for (sum, &sample) in self.rows.iter_mut().zip(row) {
            *sum += u16::from(sample);
        }
    }

    /// Takes the pixels at `x`, `x + step`, ... of row `y`. Pixels outside of the image are ignored.
    pub(crate) fn add_sparse(&mut self, y: u32, (x, step): (u32, u32), pixels: &[u8]) {
        if y >= self.height {
            return;
        }
        let start = to_usize(y / self.factor) * self.out_width;
        let columns = (x..self.width).step_by(to_usize(step.max(1)));
        for (x, pixel) in columns.zip(pixels.chunks_exact(self.channels)) {
            let at = (start + to_usize(x / self.factor)) * self.channels;
            if self.factor == 1 {
                self.pixels[at..at + self.channels].copy_from_slice(pixel);
                continue;
            }
            for (sum, &sample) in self.sums[at..].iter_mut().zip(pixel) {
                *sum += u32::from(sample);
            }
        }
    }

    fn flush(&mut self) {
        let Some(box_row) = self.pending.take() else { return };
        let start = box_row * self.out_width * self.channels;
        let boxes = self.rows.chunks(to_usize(self.factor) * self.channels);
        if self.channels == 3 {
            for (sums, pixels) in self.sums[start..].chunks_exact_mut(3).zip(boxes) {
                let (mut r, mut g, mut b) = (0, 0, 0);
                for pixel in pixels.chunks_exact(3) {
                    r += u32::from(pixel[0]);
                    g += u32::from(pixel[1]);
                    b += u32::from(pixel[2]);
                }
                sums[0] += r;
                sums[1] += g;
                sums[2] += b;
            }
        } else {
            for (sum, pixels) in self.sums[start..].iter_mut().zip(boxes) {
                *sum += pixels.iter().map(|&sample| u32::from(sample)).sum::<u32>();
            }
        }
        self.rows.fill(0);
    }

    /// The averages of what came: `rows` are the rows, and the columns of those that came in parts. White where nothing
    /// came.
    pub(crate) fn finish_partly(mut self, rows: impl Iterator<Item = (u32, Option<(u32, u32)>)>) -> Plane {
        self.flush();
        let mut counts = vec![0u32; self.sums.len().max(self.pixels.len()) / self.channels];
        for (y, columns) in rows {
            let (x, step) = columns.unwrap_or((0, 1));
            let start = to_usize(y / self.factor) * self.out_width;
            for x in (x..self.width).step_by(to_usize(step.max(1))) {
                counts[start + to_usize(x / self.factor)] += 1;
            }
        }
        for (pixel, _) in
            self.pixels.chunks_exact_mut(self.channels).zip(&counts).filter(|(_, count)| **count == 0)
        {
            pixel.fill(u8::MAX);
        }
        let extent = |index: usize, total: u32| {
            let start = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(self.factor);
            total.saturating_sub(start).min(self.factor).max(1)
        };
        for (index, (sums, &count)) in self.sums.chunks_exact_mut(self.channels).zip(&counts).enumerate() {
            // What is missing counts as what its box has otherwise.
            let area =
                extent(index % self.out_width, self.width) * extent(index / self.out_width, self.height);
            for sum in sums {
                let average = u64::from(*sum) * u64::from(area) / u64::from(count.max(1));
                *sum = if count == 0 { 255 * area } else { u32::try_from(average).unwrap_or(u32::MAX) };
            }
        }
        self.finish()
    }

    /// The averages.
    pub(crate) fn finish(mut self) -> Plane {
        self.flush();
        let factor = self.factor;
        // How many pixels lie in the box at `index`: those at the right and lower edges may be cut.
        let extent = |index: usize, total: u32| {
            let start = u32::try_from(index).unwrap_or(u32::MAX).saturating_mul(factor);
            total.saturating_sub(start).min(factor).max(1)
        };
        let columns: Vec<u32> = (0..self.out_width).map(|x| extent(x, self.width)).collect();
        // These two are never both filled.
        let mut samples = std::mem::take(&mut self.pixels);
        samples.reserve_exact(self.sums.len());
        for (y, row) in self.sums.chunks_exact(self.out_width * self.channels).enumerate() {
            let rows = extent(y, self.height);
            for (pixel, columns) in row.chunks_exact(self.channels).zip(&columns) {
                let count = rows * columns;
                for sum in pixel {
                    samples.push(u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX));
                }
            }
        }
        Plane {
            samples,
            width: self.width.div_ceil(factor),
            height: self.height.div_ceil(factor),
            channels: self.channels,
            covered_width: f64::from(self.width) / f64::from(factor),
            covered_height: f64::from(self.height) / f64::from(factor),
        }
    }
}

/// A pixel count as an index; this crate's are below 2^32, and `usize` has 32 bits or more wherever it runs.
pub(crate) fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_any_order_and_sparse_pixels_give_the_same_averages() {
        let (width, height) = (1000u32, 801u32);
        let row = |y: u32| -> Vec<u8> {
            (0..width * 3).map(|i| u8::try_from((i * 7 + y * 13) % 256).unwrap()).collect()
        };
        let mut forward = Shrinker::new((width, height), 3, 256);
        let mut scattered = Shrinker::new((width, height), 3, 256);
        let mut sparse = Shrinker::new((width, height), 3, 256);
        for y in 0..height {
            forward.add_row(y, &row(y));
        }
        for start in [1, 0, 2] {
            for y in (start..height).step_by(3) {
                scattered.add_row(y, &row(y));
            }
        }
        for start in 0..2 {
            for y in 0..height {
                let pixels: Vec<u8> = row(y).chunks(3).skip(start).step_by(2).flatten().copied().collect();
                sparse.add_sparse(y, (u32::try_from(start).unwrap(), 2), &pixels);
            }
        }
        let expected = forward.finish();
        assert_eq!((expected.width, expected.height), (500, 401));
        assert_eq!(expected.samples, scattered.finish().samples);
        assert_eq!(expected.samples, sparse.finish().samples);
        let first: u32 = [0, 3].iter().map(|&i| u32::from(row(0)[i]) + u32::from(row(1)[i])).sum();
        assert_eq!(u32::from(expected.samples[0]), (first + 2) / 4);
    }

    #[test]
    fn the_largest_white_image_stays_white() {
        let mut shrinker = Shrinker::new((65_535, 200), 1, 256);
        for y in 0..200 {
            shrinker.add_row(y, &vec![255; 65_535]);
        }
        let plane = shrinker.finish();
        assert_eq!((plane.width, plane.height), (373, 2));
        assert!(plane.samples.iter().all(|&sample| sample == 255));
    }
}
