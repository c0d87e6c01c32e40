//! The compressions of fax machines and of scanners of documents (TIFF 6.0 sections 10 and 11; ITU-T T.4 and T.6), decoded by `hayro-ccitt`.
//!
//! A strip is held in memory as it is stored. Its rows come as places where the colour changes, and go on as bits, 0 for white; what that means the
//! page says.

use std::io::{BufRead, Seek};

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};

use super::{
    damaged,
    directory::{Directory, Structure},
    layout::{Chunk, Layout},
    pixels::Rows,
};
use crate::PreviewError;
use crate::shrink::to_usize;

const T4_OPTIONS: u16 = 292;

/// The numbers of the compressions: rows of T.4 without marks, each from a whole byte on; T.4; T.6.
const RUNS: u64 = 2;
const T4: u64 = 3;
const T6: u64 = 4;

/// The most bytes of a strip: a page of 100 million pixels of which nothing is saved has half of that.
const STRIP_BYTES_MAX: u64 = 24 << 20;

/// Whether it is one of these compressions.
pub(super) fn is_known(compression: u64) -> bool {
    matches!(compression, RUNS | T4 | T6)
}

/// How rows are coded in a page.
pub(super) fn encoding<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    page: &Directory,
    compression: u64,
) -> Result<EncodingMode, PreviewError> {
    Ok(match compression {
        T6 => EncodingMode::Group4,
        T4 if structure.number_of(page, T4_OPTIONS)?.is_some_and(|options| options & 1 == 1) => {
            EncodingMode::Group3_2D
        }
        _ => EncodingMode::Group3_1D,
    })
}

/// Reads the rows of a chunk, and returns how many there were.
pub(super) fn read_chunk<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    (layout, encoding): (&Layout, EncodingMode),
    chunk: &Chunk,
    rows: &mut Rows<'_>,
) -> Result<u32, PreviewError> {
    // Old writers do not tell lengths.
    let bytes = chunk.bytes.min(layout.file_len.saturating_sub(chunk.at));
    if bytes > STRIP_BYTES_MAX {
        let what = "size of a strip in bytes";
        return Err(PreviewError::TooLarge { what, actual: bytes, max: STRIP_BYTES_MAX });
    }
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut strip = structure.bytes_at(chunk.at, len)?.ok_or_else(|| damaged("a strip of it is missing"))?;
    if layout.reversed {
        strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
    }
    let settings = DecodeSettings {
        columns: chunk.width,
        rows: chunk.rows,
        end_of_block: layout.compression != RUNS,
        // They are found where they are.
        end_of_line: false,
        rows_are_byte_aligned: layout.compression == RUNS,
        encoding,
        strict: false,
    };
    let mut sink = Sink { rows, chunk, row: vec![0; layout.row_bytes(chunk.width)], count: 0 };
    match hayro_ccitt::decode(&strip, &mut sink, &mut DecoderContext::new(settings)) {
        // What comes before a fault is there.
        Ok(_) | Err(_) => Ok(sink.count),
    }
}

/// Takes rows as they come.
struct Sink<'a, 'b> {
    rows: &'a mut Rows<'b>,
    chunk: &'a Chunk,
    row: Vec<u8>,
    count: u32,
}

impl Decoder for Sink<'_, '_> {
    fn push_row(&mut self, changes: &[u32]) {
        if self.count >= self.chunk.rows {
            return;
        }
        self.row.fill(0);
        for change in changes.chunks(2) {
            let end = change.get(1).copied().unwrap_or(self.chunk.width);
            blacken(&mut self.row, to_usize(change[0]), to_usize(end));
        }
        self.rows.add(self.chunk, self.count, &mut self.row, true);
        self.count += 1;
    }
}

/// Sets the bits from `start` to `end`, counted from the highest of the first byte.
fn blacken(row: &mut [u8], start: usize, end: usize) {
    let Some(last) = end.checked_sub(1).filter(|last| *last >= start) else { return };
    let (first_mask, last_mask) = (0xff >> (start % 8), 0xff << (7 - last % 8));
    let Some(bytes) = row.get_mut(start / 8..=last / 8) else { return };
    match bytes {
        [one] => *one |= first_mask & last_mask,
        [first, between @ .., last] => {
            *first |= first_mask;
            between.fill(0xff);
            *last |= last_mask;
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_bits() {
        for start in 0..27 {
            for end in 0..27 {
                let mut row = [0; 3];
                blacken(&mut row, start, end);
                let bits = (0..24).map(|at| row[at / 8] >> (7 - at % 8) & 1 == 1);
                let fits = end <= 24;
                let expected = (0..24).map(|at| fits && start <= at && at < end);
                assert!(bits.eq(expected), "{start} to {end}: {row:?}");
            }
        }
    }
}
