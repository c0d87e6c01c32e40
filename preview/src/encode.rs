//! Encodes a preview: a baseline JPEG whose chroma has half the resolution, as photographs are best kept in few bytes.
//!
//! The chroma of four pixels is their average. That is not enough for dots and lines in loud colours, as prints, dithered
//! pictures and drawings have them: a decoder blends the chroma of neighbours, cuts off what then leaves the range of
//! colours, and so changes the colour that such a picture has from a distance. Where that would be seen, the preview is
//! decoded as others will do it, and encoded again with what every block of 8 x 8 pixels had too little or too much.

use std::io::Cursor;

use jpeg_encoder::{ColorType, Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use crate::raster::Plane;
use crate::shrink::to_usize;
use crate::{PreviewError, jpeg};

/// JPEG quality of a preview: 12 KB for a photograph.
const QUALITY: u8 = 80;

/// JPEG quality of what is shown in place of an original: no difference is seen.
const FINE_QUALITY: u8 = 93;

/// The side of the blocks that keep their colour, in pixels.
const BLOCK: usize = 8;
/// How much a channel of a block may differ on the average before the picture is encoded again. Photographs stay below.
const DIFFERENCE_MAX: f32 = 5.0;
/// How often a picture is encoded again at most.
const CORRECTIONS: usize = 12;

/// Encodes pixels of `count` samples (1, grey, or 3, sRGB).
pub(crate) fn encode(samples: &[u8], count: usize, size: (u32, u32)) -> Result<Vec<u8>, PreviewError> {
    if count == 3 {
        let planes = Planes::of(samples, size)?;
        return planes.encode_well(&planes.average(samples));
    }
    let mut out = Vec::with_capacity(16 << 10);
    let (width, height) = (side(size.0)?, side(size.1)?);
    Encoder::new(&mut out, QUALITY).encode(samples, width, height, ColorType::Luma).map_err(|_| failed())?;
    Ok(out)
}

/// Encodes pixels of a screen, sRGB, in full resolution of colour.
pub(crate) fn encode_fine(rgb: &[u8], size: (u32, u32)) -> Result<Vec<u8>, PreviewError> {
    let mut out = Vec::with_capacity(rgb.len() / 8);
    let (width, height) = (side(size.0)?, side(size.1)?);
    let mut encoder = Encoder::new(&mut out, FINE_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder.encode(rgb, width, height, ColorType::Rgb).map_err(|_| failed())?;
    Ok(out)
}

fn failed() -> PreviewError {
    PreviewError::Unsupported("its preview cannot be encoded")
}

fn side(length: u32) -> Result<u16, PreviewError> {
    u16::try_from(length).map_err(|_| failed())
}

/// Luma from 0 to 255, and chroma from -128 to 127 around zero, a value for every cell of two by two pixels.
#[derive(Clone)]
struct Planes {
    size: (u16, u16),
    width: usize,
    height: usize,
    luma: Vec<f32>,
    blue: Vec<f32>,
    red: Vec<f32>,
}

/// By the block, red, green and blue.
type Blocks = Vec<[f32; 3]>;

impl Planes {
    fn of(rgb: &[u8], (width, height): (u32, u32)) -> Result<Self, PreviewError> {
        let size = (side(width)?, side(height)?);
        let (width, height) = (to_usize(width), to_usize(height));
        let columns = width.div_ceil(2);
        let cells = columns * height.div_ceil(2);
        let mut luma = Vec::with_capacity(width * height);
        let (mut blue, mut red) = (vec![0.0; cells], vec![0.0; cells]);
        for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
            let (blue, red) =
                (&mut blue[y / 2 * columns..][..columns], &mut red[y / 2 * columns..][..columns]);
            // The pixels of a cell at the edge count for those that it has not.
            let weight = if y | 1 < height { 0.25 } else { 0.5 };
            for ((blue, red), cell) in blue.iter_mut().zip(red).zip(row.chunks(6)) {
                let weight = if cell.len() == 6 { weight } else { 2.0 * weight };
                for pixel in cell.chunks_exact(3) {
                    let (value, b, r) = to_ycc([pixel[0].into(), pixel[1].into(), pixel[2].into()]);
                    luma.push(value);
                    *blue += weight * b;
                    *red += weight * r;
                }
            }
        }
        Ok(Self { size, width, height, luma, blue, red })
    }

    fn encode(&self) -> Result<Vec<u8>, PreviewError> {
        let mut out = Vec::with_capacity(16 << 10);
        let mut encoder = Encoder::new(&mut out, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.encode_image(self).map_err(|_| failed())?;
        Ok(out)
    }

    /// Encodes the planes so that every block is shown in its colour, as far as that can be had.
    fn encode_well(&self, wanted: &Blocks) -> Result<Vec<u8>, PreviewError> {
        let mut best = self.encode()?;
        if self.difference(wanted, &self.blocks()) <= Difference::GOOD {
            return Ok(best);
        }
        let mut difference = Difference { whole: f32::MAX, cut: f32::MAX };
        let mut file = best.clone();
        let mut added: Blocks = vec![[0.0; 3]; wanted.len()];
        for _ in 0..CORRECTIONS {
            let shown = Self::decode(&file, self.size)?.blocks();
            let now = self.difference(wanted, &shown);
            if now < difference {
                (best, difference) = (file, now);
            }
            if now <= Difference::GOOD {
                break;
            }
            for ((added, wanted), shown) in added.iter_mut().zip(wanted).zip(shown) {
                for channel in 0..3 {
                    added[channel] += wanted[channel] - shown[channel];
                }
            }
            file = self.plus(&added).encode()?;
        }
        Ok(best)
    }

    /// The largest difference of a channel in a block.
    fn difference(&self, wanted: &Blocks, shown: &Blocks) -> Difference {
        let (columns, rows) = (self.width.div_ceil(BLOCK), self.height.div_ceil(BLOCK));
        let (mut whole, mut cut) = (DIFFERENCE_MAX, 0f32);
        for (index, (wanted, shown)) in wanted.iter().zip(shown).enumerate() {
            let right = index % columns == columns - 1 && !self.width.is_multiple_of(BLOCK);
            let below = index / columns == rows - 1 && !self.height.is_multiple_of(BLOCK);
            let of_this = if right || below { &mut cut } else { &mut whole };
            for (wanted, shown) in wanted.iter().zip(shown) {
                *of_this = of_this.max((wanted - shown).abs());
            }
        }
        Difference { whole, cut: cut.max(DIFFERENCE_MAX) }
    }

    /// The planes of an encoded picture.
    fn decode(file: &[u8], size: (u16, u16)) -> Result<Self, PreviewError> {
        let decoded = jpeg::decode(&mut Cursor::new(file), size.0.max(size.1).into())?;
        let (width, height) = (usize::from(size.0), usize::from(size.1));
        let [luma, blue, red] = decoded.planes.as_slice() else { return Err(failed()) };
        let part = |plane: &Plane, width: usize, height: usize, zero: f32| -> Vec<f32> {
            let rows = plane.samples.chunks_exact(to_usize(plane.width)).take(height);
            rows.flat_map(|row| row[..width].iter().map(|&sample| f32::from(sample) - zero)).collect()
        };
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        Ok(Self {
            size,
            width,
            height,
            luma: part(luma, width, height, 0.0),
            blue: part(blue, columns, rows, 128.0),
            red: part(red, columns, rows, 128.0),
        })
    }

    /// The planes with something added to the colour of every block.
    fn plus(&self, added: &Blocks) -> Self {
        let mut out = self.clone();
        let blocks = self.width.div_ceil(BLOCK);
        let added: Vec<_> = added.iter().map(|added| to_ycc(*added)).collect();
        for (y, row) in out.luma.chunks_exact_mut(self.width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                *value = (*value + added[y / BLOCK * blocks + x / BLOCK].0).clamp(0.0, 255.0);
            }
        }
        let columns = self.width.div_ceil(2);
        for (index, (blue, red)) in out.blue.iter_mut().zip(&mut out.red).enumerate() {
            let (x, y) = (index % columns, index / columns);
            let added = added[2 * y / BLOCK * blocks + 2 * x / BLOCK];
            *blue = (*blue + added.1).clamp(-128.0, 127.0);
            *red = (*red + added.2).clamp(-128.0, 127.0);
        }
        out
    }

    /// The average colour of every block as a decoder shows it.
    fn blocks(&self) -> Blocks {
        let columns = self.width.div_ceil(2);
        let rows = self.height.div_ceil(2);
        let mut sums = Sums::new(self.width, self.height);
        let mut line = vec![0.0; columns];
        let (mut blue, mut red) = (vec![0.0; 2 * columns], vec![0.0; 2 * columns]);
        for y in 0..self.height {
            let row = y / 2;
            let neighbour = if y % 2 == 0 { row.saturating_sub(1) } else { (row + 1).min(rows - 1) };
            for (plane, out) in [(&self.blue, &mut blue), (&self.red, &mut red)] {
                let (near, far) =
                    (&plane[row * columns..][..columns], &plane[neighbour * columns..][..columns]);
                for ((value, near), far) in line.iter_mut().zip(near).zip(far) {
                    *value = blend(*near, *far);
                }
                widen(&line, out);
            }
            let luma = &self.luma[y * self.width..][..self.width];
            for (sums, factors) in sums.columns.iter_mut().zip(FACTORS) {
                for (((sum, &luma), &blue), &red) in sums.iter_mut().zip(luma).zip(&blue).zip(&red) {
                    *sum += (luma + factors[0] * blue + factors[1] * red).clamp(0.0, 255.0);
                }
            }
            sums.end_row(y);
        }
        sums.blocks
    }

    /// The average colour of every block of pixels.
    fn average(&self, rgb: &[u8]) -> Blocks {
        let mut sums = Sums::new(self.width, self.height);
        for (y, row) in rgb.chunks_exact(self.width * 3).enumerate() {
            for (channel, sums) in sums.columns.iter_mut().enumerate() {
                for (sum, pixel) in sums.iter_mut().zip(row.chunks_exact(3)) {
                    *sum += f32::from(pixel[channel]);
                }
            }
            sums.end_row(y);
        }
        sums.blocks
    }
}

/// As decoders do it: three parts of the cell that a pixel lies in, one of the neighbour on its side.
fn blend(near: f32, far: f32) -> f32 {
    0.75 * near + 0.25 * far
}

/// Two pixels for every cell.
fn widen(cells: &[f32], out: &mut [f32]) {
    for (index, pair) in out.chunks_exact_mut(2).enumerate() {
        pair[0] = blend(cells[index], cells[index.saturating_sub(1)]);
        pair[1] = blend(cells[index], cells[(index + 1).min(cells.len() - 1)]);
    }
}

/// The pixels that a block has at least: fewer at an edge are no block, and nothing can be done about their colour.
const BLOCK_PIXELS_MIN: usize = 16;

/// Sums up the pixels of blocks, of which those at the right and lower edges may be cut.
struct Sums {
    width: usize,
    height: usize,
    /// By the channel and the column, over the rows of a block.
    columns: [Vec<f32>; 3],
    /// The averages; zero of what is no block.
    blocks: Blocks,
}

impl Sums {
    fn new(width: usize, height: usize) -> Self {
        let blocks = vec![[0.0; 3]; width.div_ceil(BLOCK) * height.div_ceil(BLOCK)];
        Self { width, height, columns: std::array::from_fn(|_| vec![0.0; width]), blocks }
    }

    /// Row `y` has been added.
    fn end_row(&mut self, y: usize) {
        let rows = y % BLOCK + 1;
        if rows < BLOCK && y + 1 < self.height {
            return;
        }
        let per_row = self.width.div_ceil(BLOCK);
        let row = &mut self.blocks[y / BLOCK * per_row..][..per_row];
        for (channel, columns) in self.columns.iter_mut().enumerate() {
            for (block, columns) in row.iter_mut().zip(columns.chunks(BLOCK)) {
                let pixels = rows * columns.len();
                if pixels >= BLOCK_PIXELS_MIN {
                    block[channel] = columns.iter().sum::<f32>() / count(pixels);
                }
            }
            columns.fill(0.0);
        }
    }
}

/// Pixels of a block, 64 at most.
fn count(pixels: usize) -> f32 {
    u8::try_from(pixels).map_or(f32::MAX, f32::from)
}

/// How far blocks are from their colours at most, and no less than is good. What is better comes first: whole blocks count before those that
/// are cut at an edge, few pixels of which take much of their chroma from their neighbours.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Difference {
    whole: f32,
    cut: f32,
}

impl Difference {
    const GOOD: Self = Self { whole: DIFFERENCE_MAX, cut: DIFFERENCE_MAX };
}

impl ImageBuffer for &Planes {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let y = usize::from(y);
        let row = &self.luma[y * self.width..][..self.width];
        buffers[0].extend(row.iter().map(|&value| to_byte(value)));
        // Whichever pixel of a cell the encoder picks has the chroma of the cell.
        let columns = self.width.div_ceil(2);
        for (plane, buffer) in [(&self.blue, 1), (&self.red, 2)] {
            let row = plane[y / 2 * columns..][..columns].iter();
            buffers[buffer].extend(row.flat_map(|&value| [to_byte(value + 128.0); 2]).take(self.width));
        }
    }
}

/// JFIF 1.02, the chroma around zero.
fn to_ycc([r, g, b]: [f32; 3]) -> (f32, f32, f32) {
    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
    (luma, (b - luma) / 1.772, (r - luma) / 1.402)
}

/// What blue and red chroma add to luma in red, green and blue (JFIF 1.02).
const FACTORS: [[f32; 2]; 3] = [[0.0, 1.402], [-0.344_136, -0.714_136], [1.772, 0.0]];

#[expect(clippy::cast_possible_truncation, reason = "a float saturates, which is what is wanted")]
fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}
