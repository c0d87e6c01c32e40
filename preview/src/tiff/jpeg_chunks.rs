//! Chunks of TIFF that are JPEG streams, whose tables may stand apart (TIFF technical note 2).

use std::io::{BufRead, Cursor, Seek};

use super::directory::{Directory, Structure};
use super::layout::{Chunk, Ink, Layout};
use super::{damaged, decoded, visible};
use crate::raster::{Colour, Decoded};
use crate::shrink::{Shrinker, to_usize};
use crate::{PreviewError, Warning, finish, jpeg};

const TABLES: u16 = 347;
/// The most bytes of a chunk, which is held in memory.
const CHUNK_BYTES_MAX: usize = 24 << 20;
const TABLES_BYTES_MAX: usize = 64 << 10;

pub(super) fn decode<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    page: &Directory,
    layout: &Layout,
    side: u32,
) -> Result<Decoded, PreviewError> {
    if layout.planar {
        return Err(PreviewError::Unsupported("TIFF with JPEG in planes"));
    }
    let tables = structure.bytes_of(page, TABLES, TABLES_BYTES_MAX)?.unwrap_or_default();
    // Without their end marker; the beginning of the chunk is left out for it.
    let tables = tables.strip_suffix(b"\xff\xd9").unwrap_or(&tables);
    let mut chunks = layout.chunks();
    let Some(first) = chunks.next() else { return Err(damaged("it has no pixels")) };
    if first.width >= layout.width && first.rows >= layout.height {
        let whole = read(structure, tables, &first)?;
        let image = jpeg::decode(&mut Cursor::new(whole), side)?;
        if (image.width, image.height) != (layout.width, layout.height) {
            return Err(damaged("its JPEG has another size"));
        }
        return Ok(Decoded { colour: colour(layout, image.colour), ..image });
    }
    let mut shrinker = Shrinker::new((layout.width, layout.height), 3, side);
    let (mut shown, mut missing) = (0u64, false);
    for chunk in layout.chunks() {
        let decoded = read(structure, tables, &chunk).and_then(|bytes| decode_chunk(bytes, layout, &chunk));
        let (width, rgb) = match decoded {
            Ok((width, rgb, whole)) => {
                missing |= !whole;
                shown += 1;
                (width, rgb)
            }
            Err(PreviewError::Io(error)) => return Err(error.into()),
            Err(_) => {
                missing = true;
                (to_usize(chunk.width), vec![255; to_usize(chunk.width) * to_usize(chunk.rows) * 3])
            }
        };
        let count = visible(layout, &chunk);
        for (y, row) in (chunk.top..chunk.top + chunk.rows).zip(rgb.chunks_exact(width.max(1) * 3)) {
            let row = &row[..row.len().min(count * 3)];
            shrinker.add_sparse(y, (chunk.left, 1), row);
        }
    }
    if shown == 0 {
        return Err(damaged("none of its JPEGs can be read"));
    }
    let warning = missing.then_some(Warning::Incomplete);
    Ok(decoded(layout, vec![shrinker.finish()], Colour::Rgb, warning))
}

/// A chunk as a JPEG of its own.
fn read<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    tables: &[u8],
    chunk: &Chunk,
) -> Result<Vec<u8>, PreviewError> {
    let len = usize::try_from(chunk.bytes).unwrap_or(usize::MAX);
    if len > CHUNK_BYTES_MAX {
        let max = u64::try_from(CHUNK_BYTES_MAX).unwrap_or(u64::MAX);
        return Err(PreviewError::TooLarge { what: "size of a JPEG in bytes", actual: chunk.bytes, max });
    }
    let Some(data) = structure.bytes_at(chunk.at, len)? else { return Err(damaged("it ends too early")) };
    match data.strip_prefix(b"\xff\xd8") {
        Some(rest) if !tables.is_empty() => Ok([tables, rest].concat()),
        Some(_) => Ok(data),
        None => Err(damaged("a chunk is no JPEG")),
    }
}

/// Its width, its pixels, and whether they are all there. A chunk must not be larger than it is said to be.
fn decode_chunk(
    bytes: Vec<u8>,
    layout: &Layout,
    chunk: &Chunk,
) -> Result<(usize, Vec<u8>, bool), PreviewError> {
    let longest = chunk.width.max(chunk.rows).max(crate::PREVIEW_PIXELS);
    let image = jpeg::decode(&mut Cursor::new(bytes), longest)?;
    let (width, height) = (image.width, image.height);
    if width > chunk.width.max(layout.width)
        || height < chunk.rows
        || height > chunk.rows.max(layout.tile_rows())
    {
        return Err(damaged("a JPEG of it has another size"));
    }
    let image = Decoded {
        colour: colour(layout, image.colour),
        space: None,
        orientation: crate::exif::Orientation::default(),
        ..image
    };
    let whole = image.warning.is_none();
    let pixels = finish::pixels(image, (width, height))?;
    Ok((to_usize(width), pixels.rgb, whole))
}

/// The tags of TIFF count more than what the JPEG says.
fn colour(layout: &Layout, told: Colour) -> Colour {
    match (&layout.ink, told) {
        (Ink::Rgb, Colour::Ycc) => Colour::Rgb,
        (Ink::Ycc, Colour::Rgb) => Colour::Ycc,
        (_, told) => told,
    }
}
