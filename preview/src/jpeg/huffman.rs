//! Huffman tables (T.81 annex C and F.2.2.3), made for lookups of many bits at once.
//!
//! A table answers in two ways. `symbol` decodes one symbol. `skip` answers how far a whole run of AC coefficients
//! reaches of which nothing is needed: one lookup of 13 bits passes over as many complete coefficients as lie in
//! those bits, which makes a preview out of DC coefficients fast.

use super::bits::Bits;
use super::input::damaged;
use crate::PreviewError;

/// Symbols of codes up to this length are found by one lookup.
const SYMBOL_BITS: u32 = 10;
/// Coefficients are skipped as far as they lie within this many bits.
const SKIP_BITS: u32 = 13;
/// Added to the distance of a skip that ends the block.
const SKIP_END: u32 = 128;
/// The distance where no coefficient is complete in the bits.
const SKIP_NONE: u32 = 256;

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Table {
    /// By the next `SYMBOL_BITS` bits: symbol << 8 | length of the code, or 0 for a longer code.
    symbols: Box<[u16; 1 << SYMBOL_BITS]>,
    /// By the length of a code: the first 16-bit pattern beyond the codes of that length.
    limits: [u32; 17],
    /// By the length of a code: what to subtract from a code for the index of its symbol.
    offsets: [u32; 17],
    values: Vec<u8>,
    /// By the next `SKIP_BITS` bits: distance << 4 | bits.
    skips: Option<Box<[u16; 1 << SKIP_BITS]>>,
}

impl Table {
    /// From the counts of codes of 1 to 16 bits and their symbols, as DHT tells them.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, PreviewError> {
        let mut table = Self {
            symbols: Box::new([0; 1 << SYMBOL_BITS]),
            limits: [0; 17],
            offsets: [0; 17],
            values: values.to_vec(),
            skips: None,
        };
        let mut code: u32 = 0;
        let mut index: usize = 0;
        for (length, &count) in (1u32..).zip(counts) {
            let at = usize::try_from(length).unwrap_or(16);
            let first = u32::try_from(index).map_err(|_| invalid())?;
            table.offsets[at] = code.wrapping_sub(first);
            for _ in 0..count {
                let symbol = *values.get(index).ok_or_else(invalid)?;
                if code >> length != 0 {
                    return Err(invalid());
                }
                if length <= SYMBOL_BITS {
                    let start = usize::try_from(code << (SYMBOL_BITS - length)).map_err(|_| invalid())?;
                    let entry = u16::from(symbol) << 8 | u16::try_from(length).unwrap_or(0);
                    table.symbols[start..start + (1 << (SYMBOL_BITS - length))].fill(entry);
                }
                code += 1;
                index += 1;
            }
            table.limits[at] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The symbol at the top of `window`, and the length of its code in bits.
    #[inline(always)]
    pub(super) fn symbol(&self, window: u64) -> Result<(u8, u32), PreviewError> {
        let entry = self.symbols[top(window, SYMBOL_BITS)];
        if entry != 0 {
            let [length, symbol] = entry.to_le_bytes();
            return Ok((symbol, length.into()));
        }
        self.long_symbol(window)
    }

    #[cold]
    fn long_symbol(&self, window: u64) -> Result<(u8, u32), PreviewError> {
        let pattern = u32::try_from(window >> 48).unwrap_or(0);
        for length in SYMBOL_BITS + 1..=16 {
            let at = usize::try_from(length).unwrap_or(16);
            if pattern < self.limits[at] {
                let index = (pattern >> (16 - length)).wrapping_sub(self.offsets[at]);
                let index = usize::try_from(index).map_err(|_| invalid_code())?;
                return Ok((*self.values.get(index).ok_or_else(invalid_code)?, length));
            }
        }
        Err(invalid_code())
    }

    /// Makes `skip` available. Costs 50 microseconds, so it is only done for tables in use.
    pub(super) fn prepare_skips(&mut self) {
        if self.skips.is_some() {
            return;
        }
        let mut skips = Box::new([0u16; 1 << SKIP_BITS]);
        for (pattern, entry) in (0u64..).zip(skips.iter_mut()) {
            let (mut used, mut distance) = (0, 0);
            while let Ok((symbol, length)) = self.symbol(pattern << (64 - SKIP_BITS + used)) {
                let (step, bits) = coefficient(symbol, length);
                // Without the end of the block, a distance stays below `SKIP_END`.
                if used + bits > SKIP_BITS || (step != SKIP_END && distance + step > 64) {
                    break;
                }
                used += bits;
                distance += step;
                if distance >= SKIP_END || used == SKIP_BITS {
                    break;
                }
            }
            let distance = if used == 0 { SKIP_NONE } else { distance };
            *entry = u16::try_from(distance << 4 | used).unwrap_or(0);
        }
        self.skips = Some(skips);
    }

    /// Passes over the AC coefficients of a block of a sequential scan, from the one at `index` on.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_, '_>, mut index: u32) -> Result<(), PreviewError> {
        let Some(skips) = &self.skips else { return Err(invalid()) };
        loop {
            bits.refill()?;
            let mut window = bits.window();
            let mut used = 0;
            // A refill holds four skips. Only the last of a block, and one that is too long, leave this loop.
            let mut rest = 4;
            let last = loop {
                let entry = u32::from(skips[top(window, SKIP_BITS)]);
                let next = index + (entry >> 4);
                if next >= 64 {
                    break Some((entry, next));
                }
                window <<= entry & 15;
                used += entry & 15;
                index = next;
                rest -= 1;
                if rest == 0 {
                    break None;
                }
            };
            bits.consume(used);
            let Some((entry, next)) = last else { continue };
            if next == 64 || (SKIP_END..SKIP_END + 64).contains(&next) {
                bits.consume(entry & 15);
                return Ok(());
            }
            index = self.skip_one(bits, index)?;
            if index >= 64 {
                return Ok(());
            }
        }
    }

    #[cold]
    fn skip_one(&self, bits: &mut Bits<'_, '_>, index: u32) -> Result<u32, PreviewError> {
        bits.refill()?;
        let (symbol, length) = self.symbol(bits.window())?;
        let (step, count) = coefficient(symbol, length);
        bits.consume(count);
        match index + step {
            next if next <= 64 || step == SKIP_END => Ok(next),
            _ => Err(damaged("a block has too many coefficients")),
        }
    }
}

/// How far an AC symbol goes in the block, and in the file (T.81 section F.2.2.2).
fn coefficient(symbol: u8, length: u32) -> (u32, u32) {
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    match (run, size) {
        (15, 0) => (16, length),
        (_, 0) => (SKIP_END, length),
        _ => (run + 1, length + size),
    }
}

/// The uppermost `count` bits.
#[inline(always)]
fn top(window: u64, count: u32) -> usize {
    // At most 13 bits, which any `usize` holds.
    usize::try_from(window >> (64 - count)).unwrap_or(0)
}

fn invalid() -> PreviewError {
    damaged("a Huffman table is invalid")
}

fn invalid_code() -> PreviewError {
    damaged("its compressed data is invalid")
}
