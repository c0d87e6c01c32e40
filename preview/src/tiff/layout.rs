//! How the pixels of a page are laid out: what its tags say, checked.

use std::io::{BufRead, Seek};

use super::{
    bytes_of_bits, damaged,
    directory::{Directory, Structure},
    fax, unpack,
};
use crate::shrink::to_usize;
use crate::{PreviewError, SIDE_PIXELS_MAX};

pub(super) const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTES: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const COLOUR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTES: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;

/// The most strips or tiles, of all planes.
const CHUNKS_MAX: u64 = 1 << 18;
const SAMPLES_MAX: u64 = 16;
/// The compression of JPEG in whole streams (TIFF technical note 2).
const JPEG: u64 = 7;

/// How chunks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Row by row.
    Rows,
    /// Each is a JPEG.
    Jpeg,
    /// Each is a piece of a fax.
    Fax(hayro_ccitt::EncodingMode),
}

/// What the samples are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ink {
    /// 0 is white if `inverted`.
    Grey {
        inverted: bool,
    },
    Rgb,
    /// Luminance and differences; only within JPEG.
    Ycc,
    Palette(Vec<[u8; 3]>),
    Cmyk,
}

/// What the first of the extra samples is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    /// Colours are multiplied with it already.
    Associated,
    Unassociated,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) kind: Kind,
    pub(super) compression: u64,
    /// Whether the first bit of a byte is its lowest.
    pub(super) reversed: bool,
    pub(super) ink: Ink,
    pub(super) alpha: Alpha,
    pub(super) bits: u32,
    /// Samples of a pixel, extra ones included.
    pub(super) samples: u32,
    /// Whether each sample has chunks of its own.
    pub(super) planar: bool,
    /// Whether samples are differences to those of the pixel before.
    pub(super) differences: bool,
    chunk_size: (u32, u32),
    chunks: Vec<(u64, u64)>,
    pub(super) file_len: u64,
}

/// A strip or a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) left: u32,
    pub(super) top: u32,
    /// Pixels of a row as stored: those of a tile may stand out of the image.
    pub(super) width: u32,
    /// Rows that lie in the image.
    pub(super) rows: u32,
    /// The sample, if each has its own chunks.
    pub(super) plane: usize,
}

impl Layout {
    pub(super) fn of<R: BufRead + Seek>(
        structure: &mut Structure<'_, R>,
        page: &Directory,
        file_len: u64,
    ) -> Result<Self, PreviewError> {
        let mut number = |tag: u16| structure.number_of(page, tag);
        let side = |value: Option<u64>| u32::try_from(value.unwrap_or(0)).unwrap_or(u32::MAX);
        let (width, height) = (side(number(WIDTH)?), side(number(HEIGHT)?));
        let compression = number(COMPRESSION)?.unwrap_or(1);
        let photometric = number(PHOTOMETRIC)?;
        let samples = number(SAMPLES)?.unwrap_or(1);
        let planar = number(PLANAR)? == Some(2) && samples > 1;
        let predictor = number(PREDICTOR)?.unwrap_or(1);
        let reversed = number(FILL_ORDER)? == Some(2);
        let strip_rows = side(number(ROWS_PER_STRIP)?.or(Some(u64::MAX)));
        let tile = (side(number(TILE_WIDTH)?), side(number(TILE_HEIGHT)?));
        let samples = match u32::try_from(samples) {
            Ok(count) if (1..=SAMPLES_MAX).contains(&samples) => count,
            _ => return Err(PreviewError::Unsupported("TIFF with many samples a pixel")),
        };
        let kind = match compression {
            JPEG => Kind::Jpeg,
            known if unpack::is_known(known) => Kind::Rows,
            known if fax::is_known(known) => Kind::Fax(fax::encoding(structure, page, known)?),
            _ => return Err(PreviewError::Unsupported("TIFF with a rare compression")),
        };
        let bits = bits(structure, page)?;
        let ink = ink(structure, page, (photometric, samples, bits), kind)?;
        let alpha = match structure.numbers(page, EXTRA_SAMPLES, SAMPLES_MAX)?.as_deref() {
            Some([1, ..]) => Alpha::Associated,
            Some([2, ..]) => Alpha::Unassociated,
            _ => Alpha::None,
        };
        if !matches!(predictor, 1 | 2) || (predictor == 2 && bits < 8) {
            return Err(PreviewError::Unsupported("TIFF with a rare predictor"));
        }
        let tiled = tile.0 > 0 && tile.1 > 0;
        let chunk_size = if tiled { tile } else { (width, strip_rows.clamp(1, height.max(1))) };
        if chunk_size.0 > SIDE_PIXELS_MAX || chunk_size.1 > SIDE_PIXELS_MAX {
            return Err(damaged("its tiles are too large"));
        }
        let tags = if tiled { (TILE_OFFSETS, TILE_BYTES) } else { (STRIP_OFFSETS, STRIP_BYTES) };
        let mut layout = Self {
            width,
            height,
            kind,
            compression,
            reversed,
            ink,
            alpha,
            bits,
            samples,
            planar,
            differences: predictor == 2 && kind == Kind::Rows,
            chunk_size,
            chunks: Vec::new(),
            file_len,
        };
        layout.chunks = layout.places(structure, page, tags)?;
        Ok(layout)
    }

    /// Where the chunks are.
    fn places<R: BufRead + Seek>(
        &self,
        structure: &mut Structure<'_, R>,
        page: &Directory,
        (offsets, lengths): (u16, u16),
    ) -> Result<Vec<(u64, u64)>, PreviewError> {
        let (across, down) = self.grid();
        let planes = if self.planar { u64::from(self.samples) } else { 1 };
        let count = u64::from(across) * u64::from(down) * planes;
        if count > CHUNKS_MAX {
            return Err(PreviewError::TooLarge {
                what: "number of strips or tiles",
                actual: count,
                max: CHUNKS_MAX,
            });
        }
        let Some(offsets) = structure.numbers(page, offsets, CHUNKS_MAX)? else {
            return Err(damaged("it does not say where its pixels are"));
        };
        let lengths = structure.numbers(page, lengths, CHUNKS_MAX)?.unwrap_or_default();
        // Old writers do not tell lengths.
        let lengths = lengths.into_iter().chain(std::iter::repeat(u64::MAX));
        // Chunks that share their bytes would be read over and over.
        let rest = |at: u64| self.file_len.saturating_sub(at);
        let total: u64 = offsets
            .iter()
            .zip(lengths.clone())
            .map(|(&at, bytes)| bytes.min(rest(at)))
            .fold(0, u64::saturating_add);
        if self.compression != unpack::NONE && total > self.file_len.saturating_mul(2) {
            return Err(damaged("its strips overlap"));
        }
        let whole = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(offsets.into_iter().zip(lengths).take(whole).collect())
    }

    /// Rows of a chunk, also of those that stand out of the image.
    pub(super) fn tile_rows(&self) -> u32 {
        self.chunk_size.1
    }

    /// Chunks in a row and in a column.
    fn grid(&self) -> (u32, u32) {
        let (width, height) = self.chunk_size;
        (self.width.div_ceil(width.max(1)), self.height.div_ceil(height.max(1)))
    }

    /// The chunks in their order. One that has no place is there without any bytes.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        let ((across, down), (width, height)) = (self.grid(), self.chunk_size);
        let planes = if self.planar { to_usize(self.samples) } else { 1 };
        // Of many samples only the colours are read.
        let read = planes.min(if self.planar { self.colours() } else { 1 });
        let places = (0..read)
            .flat_map(move |plane| (0..down).flat_map(move |y| (0..across).map(move |x| (plane, x, y))));
        places.enumerate().map(move |(index, (plane, x, y))| {
            let (at, bytes) = self.chunks.get(index).copied().unwrap_or((0, 0));
            let top = y.saturating_mul(height);
            let rows = height.min(self.height.saturating_sub(top));
            Chunk { at, bytes, left: x.saturating_mul(width), top, width, rows, plane }
        })
    }

    /// Samples of a pixel that tell its colour.
    pub(super) fn colours(&self) -> usize {
        match self.ink {
            Ink::Grey { .. } | Ink::Palette(_) => 1,
            Ink::Rgb | Ink::Ycc => 3,
            Ink::Cmyk => 4,
        }
    }

    /// Samples of a pixel in a chunk.
    pub(super) fn stride(&self) -> usize {
        if self.planar { 1 } else { to_usize(self.samples) }
    }

    /// Bytes of a row of `width` pixels in a chunk.
    pub(super) fn row_bytes(&self, width: u32) -> usize {
        let samples = if self.planar { 1 } else { u64::from(self.samples) };
        bytes_of_bits(u64::from(width) * samples * u64::from(self.bits))
    }
}

/// Bits of a sample, which must be the same for all of them.
fn bits<R: BufRead + Seek>(structure: &mut Structure<'_, R>, page: &Directory) -> Result<u32, PreviewError> {
    let bits = structure.numbers(page, BITS, SAMPLES_MAX)?.unwrap_or_else(|| vec![1]);
    let formats = structure.numbers(page, SAMPLE_FORMAT, SAMPLES_MAX)?.unwrap_or_default();
    match bits.split_first() {
        _ if formats.iter().any(|format| !matches!(format, 1 | 4)) => {
            Err(PreviewError::Unsupported("TIFF whose samples are no whole numbers"))
        }
        Some((first @ (1 | 2 | 4 | 8 | 16 | 32), rest)) if rest.iter().all(|bits| bits == first) => {
            Ok(u32::try_from(*first).unwrap_or(8))
        }
        _ => Err(PreviewError::Unsupported("TIFF with rare samples")),
    }
}

fn ink<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    page: &Directory,
    (photometric, samples, bits): (Option<u64>, u32, u32),
    kind: Kind,
) -> Result<Ink, PreviewError> {
    let ink = match photometric {
        // Some writers forget it.
        None if samples >= 3 => Ink::Rgb,
        Some(0) => Ink::Grey { inverted: true },
        None | Some(1) => Ink::Grey { inverted: false },
        Some(2) => Ink::Rgb,
        Some(3) if bits <= 8 => {
            let count = 3 << bits;
            let map = structure.numbers(page, COLOUR_MAP, count)?.unwrap_or_default();
            Ink::Palette(palette(&map).ok_or_else(|| damaged("it has no palette"))?)
        }
        Some(5) => Ink::Cmyk,
        Some(6) if kind == Kind::Jpeg => Ink::Ycc,
        _ => return Err(PreviewError::Unsupported("TIFF in rare colours")),
    };
    let needed = match ink {
        Ink::Rgb | Ink::Ycc => 3,
        Ink::Cmyk => 4,
        Ink::Grey { .. } | Ink::Palette(_) => 1,
    };
    if samples < needed {
        return Err(damaged("it has too few samples for its colours"));
    }
    if matches!(kind, Kind::Fax(_)) && (samples, bits) != (1, 1) {
        return Err(damaged("a fax has one bit a pixel"));
    }
    if kind == Kind::Jpeg && bits != 8 {
        return Err(PreviewError::Unsupported("TIFF with JPEG of more than 8 bits"));
    }
    if bits < 8 && needed > 1 {
        return Err(PreviewError::Unsupported("TIFF with rare samples"));
    }
    Ok(ink)
}

/// All reds, then all greens, then all blues, of 16 bits; some writers give 8.
fn palette(map: &[u64]) -> Option<Vec<[u8; 3]>> {
    let count = map.len() / 3;
    if count == 0 {
        return None;
    }
    let shift = if map.iter().all(|&value| value < 256) { 0 } else { 8 };
    let byte = |value: u64| u8::try_from((value >> shift).min(255)).unwrap_or(u8::MAX);
    Some((0..count).map(|index| [index, count + index, 2 * count + index].map(|at| byte(map[at]))).collect())
}
