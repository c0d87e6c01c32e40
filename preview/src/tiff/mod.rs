//! TIFF 6.0 and BigTIFF: the first page, read strip by strip and row by row into the shrinker.
//!
//! Decoded: grey, RGB, palette and CMYK of 1 to 32 bits a sample, in strips or tiles, interleaved or in planes, with or without
//! alpha; not compressed, LZW, deflate, PackBits, JPEG, and those of fax machines. Rows that are missing are white, with a warning.
//!
//! Not decoded: floating point, Lab, JPEG in the style of TIFF 6.0 itself, subsampled YCbCr that is not JPEG.

pub(crate) mod directory;
mod fax;
mod jpeg_chunks;
mod layout;
mod pixels;
pub(crate) mod unpack;

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};

use directory::{Directory, Structure};
use layout::{Chunk, Kind, Layout};
use pixels::Rows;

use crate::error::{check_density, check_dimensions};
use crate::exif::Orientation;
use crate::profile::Space;
use crate::raster::{Colour, Decoded};
use crate::shrink::to_usize;
use crate::{Format, ICC_BYTES_MAX, PreviewError, STREAMED_PIXELS_MAX, Warning};

/// The most pixels of an image, however small its file is.
const DENSE_PIXELS_MAX: u64 = 100_000_000;
/// The most directories that are looked through for the first page that is no thumbnail.
const PAGES_MAX: usize = 16;
/// What each strip is read through.
const BUFFER_BYTES: usize = 16 << 10;

const ORIENTATION: u16 = 274;
const ICC: u16 = 34_675;
const SUBFILE: u16 = 254;

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    let Some((mut structure, first)) = Structure::open(input, 0)? else {
        return Err(damaged("it has no header"));
    };
    let page = first_page(&mut structure, first)?;
    let layout = Layout::of(&mut structure, &page, file_len)?;
    let size = (layout.width, layout.height);
    check_dimensions(Format::Tiff, size, STREAMED_PIXELS_MAX)?;
    check_density(size, file_len, DENSE_PIXELS_MAX)?;
    let orientation = structure.number_of(&page, ORIENTATION)?.and_then(|value| u16::try_from(value).ok());
    let orientation = orientation.and_then(Orientation::from_exif).unwrap_or_default();
    let space = structure.bytes_of(&page, ICC, ICC_BYTES_MAX)?.map(Space::Icc);
    let decoded = if layout.kind == Kind::Jpeg {
        jpeg_chunks::decode(&mut structure, &page, &layout, side)?
    } else {
        decode_rows(&mut structure, &layout, side)?
    };
    Ok(Decoded { orientation, space, ..decoded })
}

/// The first page that is no thumbnail of another.
fn first_page<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    first: u64,
) -> Result<Directory, PreviewError> {
    let mut at = first;
    let mut thumbnail = None;
    for _ in 0..PAGES_MAX {
        let page = structure.directory(at)?;
        if !page.has(layout::WIDTH) {
            break;
        }
        let reduced = structure.number_of(&page, SUBFILE)?.is_some_and(|kind| kind & 1 == 1);
        at = page.next;
        if !reduced {
            return Ok(page);
        }
        thumbnail.get_or_insert(page);
    }
    thumbnail.ok_or_else(|| damaged("it has no page"))
}

/// Reads strips and tiles whose rows are read one by one.
fn decode_rows<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    layout: &Layout,
    side: u32,
) -> Result<Decoded, PreviewError> {
    let mut rows = Rows::new(layout, side);
    let (mut complete, mut incomplete) = (0u64, 0u64);
    for chunk in layout.chunks() {
        let read = match layout.kind {
            Kind::Fax(encoding) => fax::read_chunk(structure, (layout, encoding), &chunk, &mut rows),
            Kind::Rows | Kind::Jpeg => read_chunk(structure, layout, &chunk, &mut rows),
        };
        let count = match read {
            Ok(count) => count,
            Err(PreviewError::Io(error)) => return Err(error.into()),
            Err(_) => 0,
        };
        complete += u64::from(count);
        incomplete += u64::from(chunk.rows - count);
        for row in count..chunk.rows {
            rows.add_missing(&chunk, row);
        }
    }
    if complete == 0 {
        return Err(damaged("none of its rows can be read"));
    }
    let (planes, colour) = rows.finish();
    let warning = (incomplete > 0).then_some(Warning::Incomplete);
    Ok(decoded(layout, planes, colour, warning))
}

fn decoded(
    layout: &Layout,
    planes: Vec<crate::raster::Plane>,
    colour: Colour,
    warning: Option<Warning>,
) -> Decoded {
    Decoded {
        width: layout.width,
        height: layout.height,
        told: None,
        orientation: Orientation::default(),
        planes,
        colour,
        space: None,
        warning,
    }
}

/// Reads the rows of a chunk, and returns how many there were.
fn read_chunk<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    layout: &Layout,
    chunk: &Chunk,
    rows: &mut Rows<'_>,
) -> Result<u32, PreviewError> {
    let little = structure.is_little();
    let start = structure.in_file(chunk.at);
    structure.input.seek(SeekFrom::Start(start))?;
    let stored = Stored { input: (&mut *structure.input).take(chunk.bytes), reversed: layout.reversed };
    let packed = BufReader::with_capacity(BUFFER_BYTES, stored);
    let Some(mut data) = unpack::unpack(layout.compression, packed) else {
        return Err(PreviewError::Unsupported("TIFF with an unknown compression"));
    };
    let mut row = vec![0; layout.row_bytes(chunk.width)];
    for index in 0..chunk.rows {
        match data.read_exact(&mut row) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
                ) =>
            {
                return Ok(index);
            }
            Err(error) => return Err(error.into()),
        }
        rows.add(chunk, index, &mut row, little);
    }
    Ok(chunk.rows)
}

/// Bytes of a chunk, whose bits may be stored the other way round (TIFF 6.0, "FillOrder").
struct Stored<R> {
    input: R,
    reversed: bool,
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(out)?;
        if self.reversed {
            out[..count].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(count)
    }
}

fn damaged(reason: &str) -> PreviewError {
    PreviewError::damaged(Format::Tiff, reason)
}

/// Bytes of `bits` bits.
fn bytes_of_bits(bits: u64) -> usize {
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

/// A row of an image, as an index.
fn row_of(chunk: &Chunk, row: u32) -> u32 {
    chunk.top.saturating_add(row)
}

/// Pixels of a row of a chunk that lie in the image.
fn visible(layout: &Layout, chunk: &Chunk) -> usize {
    to_usize(chunk.width.min(layout.width.saturating_sub(chunk.left)))
}
