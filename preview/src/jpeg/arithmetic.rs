//! The arithmetic decoder (T.81 annex D), and what it decodes: DC differences and AC coefficients (annexes F.2.4 and G.2).
//!
//! It is slower than Huffman decoding, as every decision changes the state of the next one, and nothing can be passed over.

use super::bits::Bits;
use super::frame::{Conditioning, ZIGZAG};
use super::input::damaged;
use crate::PreviewError;

/// A context: the index of its state, and the more probable symbol.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    state: u8,
    likely: bool,
}

/// The state of all contexts and of the decoder, for an interval between restarts.
#[derive(Debug, Clone)]
pub(super) struct Arithmetic {
    conditioning: Conditioning,
    /// The width of the interval of code strings that are still possible.
    width: u32,
    /// The code register, relative to the base of the interval.
    code: u64,
    /// Bits of the register below the interval; negative while it is filled for the first time.
    below: i32,
    dc: [[Context; 64]; 4],
    ac: [[Context; 256]; 4],
    even: Context,
}

/// Qe, and the states after the less and the more probable symbol (T.81 table D.3). Those of even chance come last: they
/// stay as they are.
const STATES: [(u16, u8, u8, bool); 114] = [
    (0x5a1d, 1, 1, true),
    (0x2586, 14, 2, false),
    (0x1114, 16, 3, false),
    (0x080b, 18, 4, false),
    (0x03d8, 20, 5, false),
    (0x01da, 23, 6, false),
    (0x00e5, 25, 7, false),
    (0x006f, 28, 8, false),
    (0x0036, 30, 9, false),
    (0x001a, 33, 10, false),
    (0x000d, 35, 11, false),
    (0x0006, 9, 12, false),
    (0x0003, 10, 13, false),
    (0x0001, 12, 13, false),
    (0x5a7f, 15, 15, true),
    (0x3f25, 36, 16, false),
    (0x2cf2, 38, 17, false),
    (0x207c, 39, 18, false),
    (0x17b9, 40, 19, false),
    (0x1182, 42, 20, false),
    (0x0cef, 43, 21, false),
    (0x09a1, 45, 22, false),
    (0x072f, 46, 23, false),
    (0x055c, 48, 24, false),
    (0x0406, 49, 25, false),
    (0x0303, 51, 26, false),
    (0x0240, 52, 27, false),
    (0x01b1, 54, 28, false),
    (0x0144, 56, 29, false),
    (0x00f5, 57, 30, false),
    (0x00b7, 59, 31, false),
    (0x008a, 60, 32, false),
    (0x0068, 62, 33, false),
    (0x004e, 63, 34, false),
    (0x003b, 32, 35, false),
    (0x002c, 33, 9, false),
    (0x5ae1, 37, 37, true),
    (0x484c, 64, 38, false),
    (0x3a0d, 65, 39, false),
    (0x2ef1, 67, 40, false),
    (0x261f, 68, 41, false),
    (0x1f33, 69, 42, false),
    (0x19a8, 70, 43, false),
    (0x1518, 72, 44, false),
    (0x1177, 73, 45, false),
    (0x0e74, 74, 46, false),
    (0x0bfb, 75, 47, false),
    (0x09f8, 77, 48, false),
    (0x0861, 78, 49, false),
    (0x0706, 79, 50, false),
    (0x05cd, 48, 51, false),
    (0x04de, 50, 52, false),
    (0x040f, 50, 53, false),
    (0x0363, 51, 54, false),
    (0x02d4, 52, 55, false),
    (0x025c, 53, 56, false),
    (0x01f8, 54, 57, false),
    (0x01a4, 55, 58, false),
    (0x0160, 56, 59, false),
    (0x0125, 57, 60, false),
    (0x00f6, 58, 61, false),
    (0x00cb, 59, 62, false),
    (0x00ab, 61, 63, false),
    (0x008f, 61, 32, false),
    (0x5b12, 65, 65, true),
    (0x4d04, 80, 66, false),
    (0x412c, 81, 67, false),
    (0x37d8, 82, 68, false),
    (0x2fe8, 83, 69, false),
    (0x293c, 84, 70, false),
    (0x2379, 86, 71, false),
    (0x1edf, 87, 72, false),
    (0x1aa9, 87, 73, false),
    (0x174e, 72, 74, false),
    (0x1424, 72, 75, false),
    (0x119c, 74, 76, false),
    (0x0f6b, 74, 77, false),
    (0x0d51, 75, 78, false),
    (0x0bb6, 77, 79, false),
    (0x0a40, 77, 48, false),
    (0x5832, 80, 81, true),
    (0x4d1c, 88, 82, false),
    (0x438e, 89, 83, false),
    (0x3bdd, 90, 84, false),
    (0x34ee, 91, 85, false),
    (0x2eae, 92, 86, false),
    (0x299a, 93, 87, false),
    (0x2516, 86, 71, false),
    (0x5570, 88, 89, true),
    (0x4ca9, 95, 90, false),
    (0x44d9, 96, 91, false),
    (0x3e22, 97, 92, false),
    (0x3824, 99, 93, false),
    (0x32b4, 99, 94, false),
    (0x2e17, 93, 86, false),
    (0x56a8, 95, 96, true),
    (0x4f46, 101, 97, false),
    (0x47e5, 102, 98, false),
    (0x41cf, 103, 99, false),
    (0x3c3d, 104, 100, false),
    (0x375e, 99, 93, false),
    (0x5231, 105, 102, false),
    (0x4c0f, 106, 103, false),
    (0x4639, 107, 104, false),
    (0x415e, 103, 99, false),
    (0x5627, 105, 106, true),
    (0x50e7, 108, 107, false),
    (0x4b85, 109, 103, false),
    (0x5597, 110, 109, false),
    (0x504f, 111, 107, false),
    (0x5a10, 110, 111, true),
    (0x5522, 112, 109, false),
    (0x59eb, 112, 111, true),
    (0x5a1d, 113, 113, false),
];

/// The state of even chance.
const EVEN: u8 = 113;

impl Arithmetic {
    pub(super) fn new(conditioning: Conditioning) -> Self {
        Self {
            conditioning,
            width: 0,
            code: 0,
            below: -16,
            dc: [[Context::default(); 64]; 4],
            ac: [[Context::default(); 256]; 4],
            even: Context { state: EVEN, likely: false },
        }
    }

    /// One decision.
    fn decide(
        &mut self,
        bits: &mut Bits<'_, '_>,
        context: impl Fn(&mut Self) -> &mut Context,
    ) -> Result<bool, PreviewError> {
        // The interval is kept from 0x8000 on (T.81 figure D.19).
        while self.width < 0x8000 {
            self.below -= 1;
            if self.below < 0 {
                self.code = self.code << 8 | u64::from(bits.byte()?);
                self.below += 8;
                if self.below < 0 {
                    self.below += 1;
                    if self.below == 0 {
                        // Two bytes are there.
                        self.width = 0x8000;
                    }
                }
            }
            self.width <<= 1;
        }
        let Context { state, likely } = *context(self);
        let (unlikely_width, after_unlikely, after_likely, switches) = STATES[usize::from(state.min(EVEN))];
        let unlikely_width = u32::from(unlikely_width);
        self.width -= unlikely_width;
        let split = u64::from(self.width) << self.below;
        // The upper part is that of the symbol with the smaller interval, unless this is the more probable one's.
        let upper = self.code >= split;
        let exchanged = self.width < unlikely_width;
        if upper {
            self.code -= split;
            self.width = unlikely_width;
        } else if self.width >= 0x8000 {
            return Ok(likely);
        }
        let symbol = likely ^ (upper != exchanged);
        *context(self) = if symbol == likely {
            Context { state: after_likely, likely }
        } else {
            Context { state: after_unlikely, likely: likely ^ switches }
        };
        Ok(symbol)
    }

    fn even(&mut self, bits: &mut Bits<'_, '_>) -> Result<bool, PreviewError> {
        self.decide(bits, |this| &mut this.even)
    }

    /// The bits of a magnitude below its highest one, from a context for each, which are 14 behind that of the highest.
    fn magnitude(
        &mut self,
        bits: &mut Bits<'_, '_>,
        highest: i32,
        context: impl Fn(&mut Self) -> &mut Context,
    ) -> Result<i32, PreviewError> {
        let (mut value, mut bit) = (highest, highest >> 1);
        while bit > 0 {
            if self.decide(bits, &context)? {
                value |= bit;
            }
            bit >>= 1;
        }
        Ok(value + 1)
    }

    /// A bit of a DC coefficient that a later scan adds.
    pub(super) fn dc_bit(&mut self, bits: &mut Bits<'_, '_>) -> Result<bool, PreviewError> {
        self.even(bits)
    }

    /// A DC difference (T.81 section F.2.4.1). `class` is that of the difference before in the channel, and becomes that of
    /// this one.
    pub(super) fn dc_difference(
        &mut self,
        bits: &mut Bits<'_, '_>,
        table: usize,
        class: &mut usize,
    ) -> Result<i32, PreviewError> {
        let start = *class;
        *class = 0;
        if !self.decide(bits, |this| &mut this.dc[table][start])? {
            return Ok(0);
        }
        let negative = self.decide(bits, |this| &mut this.dc[table][start + 1])?;
        let mut at = start + 2 + usize::from(negative);
        let mut highest = i32::from(self.decide(bits, |this| &mut this.dc[table][at])?);
        if highest > 0 {
            at = 20;
            while self.decide(bits, |this| &mut this.dc[table][at])? {
                highest <<= 1;
                at += 1;
                if highest == 0x8000 {
                    return Err(invalid());
                }
            }
        }
        let (low, high) = self.conditioning.dc[table];
        *class = if highest < (1 << low) >> 1 {
            0
        } else if highest > (1 << high) >> 1 {
            12 + 4 * usize::from(negative)
        } else {
            4 + 4 * usize::from(negative)
        };
        let value = self.magnitude(bits, highest, |this| &mut this.dc[table][at + 14])?;
        Ok(if negative { -value } else { value })
    }

    /// AC coefficients from the first to the last of `band` (T.81 section F.2.4.2), shifted by `low_bit`.
    pub(super) fn first(
        &mut self,
        bits: &mut Bits<'_, '_>,
        table: usize,
        (band, low_bit): ((usize, usize), u32),
        block: &mut [i16; 64],
    ) -> Result<(), PreviewError> {
        let mut index = band.0;
        while index <= band.1 {
            if self.decide(bits, |this| &mut this.ac[table][3 * (index - 1)])? {
                break;
            }
            while !self.decide(bits, |this| &mut this.ac[table][3 * (index - 1) + 1])? {
                index += 1;
                if index > band.1 {
                    return Err(invalid());
                }
            }
            let negative = self.even(bits)?;
            let mut at = 3 * (index - 1) + 2;
            let mut highest = i32::from(self.decide(bits, |this| &mut this.ac[table][at])?);
            if highest > 0 && self.decide(bits, |this| &mut this.ac[table][at])? {
                highest = 2;
                at = if index <= usize::from(self.conditioning.ac[table]) { 189 } else { 217 };
                while self.decide(bits, |this| &mut this.ac[table][at])? {
                    highest <<= 1;
                    at += 1;
                    if highest == 0x8000 {
                        return Err(invalid());
                    }
                }
            }
            let value = self.magnitude(bits, highest, |this| &mut this.ac[table][at + 14])?;
            let value = (if negative { -value } else { value }) << low_bit;
            block[ZIGZAG[index]] = i16::try_from(value.clamp(-0x8000, 0x7fff)).unwrap_or(0);
            index += 1;
        }
        Ok(())
    }

    /// A bit more of AC coefficients (T.81 section G.2.3).
    pub(super) fn refine(
        &mut self,
        bits: &mut Bits<'_, '_>,
        table: usize,
        (band, low_bit): ((usize, usize), u32),
        block: &mut [i16; 64],
    ) -> Result<(), PreviewError> {
        let bit = 1i16 << low_bit;
        // Before the last coefficient that is not zero, the block cannot end.
        let last = (1..=band.1).rev().find(|&index| block[ZIGZAG[index]] != 0).unwrap_or(0);
        let mut index = band.0;
        while index <= band.1 {
            if index > last && self.decide(bits, |this| &mut this.ac[table][3 * (index - 1)])? {
                break;
            }
            loop {
                let coefficient = block[ZIGZAG[index]];
                if coefficient != 0 {
                    if self.decide(bits, |this| &mut this.ac[table][3 * (index - 1) + 2])? {
                        let step = if coefficient < 0 { -bit } else { bit };
                        block[ZIGZAG[index]] = coefficient.saturating_add(step);
                    }
                    break;
                }
                if self.decide(bits, |this| &mut this.ac[table][3 * (index - 1) + 1])? {
                    block[ZIGZAG[index]] = if self.even(bits)? { -bit } else { bit };
                    break;
                }
                index += 1;
                if index > band.1 {
                    return Err(invalid());
                }
            }
            index += 1;
        }
        Ok(())
    }
}

fn invalid() -> PreviewError {
    damaged("its compressed data is invalid")
}
