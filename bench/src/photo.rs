//! Photographs that nobody has taken: a sky-like gradient, surfaces with 1/f noise (the spectrum of natural images: Field,
//! "Relations between the statistics of natural images", JOSA A 1987), hard edges, and the grain of a sensor.
//!
//! A real photograph's size and detail, not its beauty.

use std::{fs::File, io::BufWriter, path::Path};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::dice::Dice;

/// An image in RGB, 8 bits a channel.
#[derive(Debug)]
pub(crate) struct Photo {
    width: u16,
    height: u16,
    rgb: Vec<u8>,
}

/// One octave of noise: random values on a grid, bilinear between them.
struct Octave {
    cell: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Octave {
    fn new(cell: usize, size: (usize, usize), amplitude: f32, dice: &mut Dice) -> Self {
        let (columns, rows) = (size.0 / cell + 2, size.1 / cell + 2);
        let values = (0..columns * rows).map(|_| (dice.share() - 0.5) * amplitude).collect();
        Self { cell, columns, values }
    }

    /// Adds row `y` to `line`.
    fn add(&self, y: usize, line: &mut [f32]) {
        let (row, part) = (y / self.cell, (y % self.cell) as f32 / self.cell as f32);
        let at =
            |row: usize, column: usize| self.values.get(row * self.columns + column).copied().unwrap_or(0.0);
        let between = |column: usize| at(row, column) * (1.0 - part) + at(row + 1, column) * part;
        for (column, piece) in line.chunks_mut(self.cell).enumerate() {
            let (left, right) = (between(column), between(column + 1));
            let step = (right - left) / self.cell as f32;
            let mut value = left;
            for place in piece {
                *place += value;
                value += step;
            }
        }
    }
}

/// A disc of another colour: an edge.
struct Disc {
    centre: (f32, f32),
    radius: f32,
    tint: [f32; 3],
}

impl Photo {
    /// The photograph that belongs to `seed`.
    pub(crate) fn take(width: u16, height: u16, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let size = (usize::from(width), usize::from(height));
        let light: Vec<_> = (1..=9u8)
            .map(|octave| Octave::new(1 << octave, size, 9.0 * 1.36f32.powi(i32::from(octave)), &mut dice))
            .collect();
        let colours: Vec<[Octave; 2]> = (6..=9u8)
            .map(|octave| [(); 2].map(|()| Octave::new(1 << octave, size, 30.0, &mut dice)))
            .collect();
        let discs: Vec<_> = (0..24).map(|_| Disc::new(size, &mut dice)).collect();
        let mut rgb = Vec::with_capacity(size.0 * size.1 * 3);
        for y in 0..size.1 {
            let mut lines = [vec![0.0; size.0], vec![0.0; size.0], vec![0.0; size.0]];
            let [luma, red, blue] = &mut lines;
            light.iter().for_each(|octave| octave.add(y, luma));
            colours.iter().for_each(|[a, b]| {
                a.add(y, red);
                b.add(y, blue);
            });
            let sky = 190.0 - 120.0 * y as f32 / size.1 as f32;
            for (x, ((luma, red), blue)) in luma.iter().zip(&*red).zip(&*blue).enumerate() {
                let tint = Disc::tint_at(&discs, x as f32, y as f32);
                let grain = (dice.share() - 0.5) * 11.0;
                let base = sky + luma + grain;
                rgb.extend([base + red, base - (red + blue) / 4.0, base + blue].iter().zip(tint).map(byte));
            }
        }
        Self { width, height, rgb }
    }

    /// As a camera would: quality 85, colour at half the resolution, with the standard Huffman tables, unless progressive.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write_jpeg(&self, path: &Path, progressive: bool) -> anyhow::Result<()> {
        let mut encoder = Encoder::new_file(path, 85)?;
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
        encoder.set_progressive(progressive);
        Ok(encoder.encode(&self.rgb, self.width, self.height, ColorType::Rgb)?)
    }

    /// With the encoder's defaults.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write_png(&self, path: &Path) -> anyhow::Result<()> {
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}

impl Disc {
    fn new(size: (usize, usize), dice: &mut Dice) -> Self {
        let centre = (dice.share() * size.0 as f32, dice.share() * size.1 as f32);
        let radius = (0.02 + 0.1 * dice.share()) * size.1 as f32;
        Self { centre, radius, tint: [(); 3].map(|()| (dice.share() - 0.5) * 120.0) }
    }

    fn tint_at(discs: &[Self], x: f32, y: f32) -> [f32; 3] {
        let hit = discs.iter().find(|disc| {
            let (dx, dy) = (x - disc.centre.0, y - disc.centre.1);
            dx * dx + dy * dy < disc.radius * disc.radius
        });
        hit.map_or([0.0; 3], |disc| disc.tint)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of a byte")]
fn byte((value, tint): (&f32, f32)) -> u8 {
    (value + tint).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_picture_with_detail_and_the_same_each_time() {
        let photo = Photo::take(320, 240, 3);
        assert_eq!(photo.rgb.len(), 320 * 240 * 3);
        assert_eq!(photo.rgb, Photo::take(320, 240, 3).rgb);
        let mean = photo.rgb.iter().map(|byte| f64::from(*byte)).sum::<f64>() / photo.rgb.len() as f64;
        let spread = photo.rgb.iter().map(|byte| (f64::from(*byte) - mean).powi(2)).sum::<f64>();
        assert!((60.0..200.0).contains(&mean) && spread / photo.rgb.len() as f64 > 400.0);
    }
}
