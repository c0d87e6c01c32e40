//! The bits of a scan, one restart interval at a time.
//!
//! Bytes are taken out of the file in large pieces, with the stuffing removed on the way (T.81 section B.1.1.5), so
//! that the decoders refill 56 bits with one load and no test of every byte. The data of an interval ends at a
//! marker; a reader beyond it gets a few zeros, then an error, and `finish_interval` tells for certain.

use super::input::{END, Input, RST0, damaged};
use crate::PreviewError;

/// Bytes that are taken out of the file at a time.
const CAPACITY: usize = 32 << 10;
/// Zeros behind the end of an interval.
const PADDING: usize = 16;
/// The most zeros that are taken for ones which an arithmetic encoder left out at the end of an interval.
const ZEROS_MAX: u32 = 64;

/// A reader of bits within one scan.
pub(super) struct Bits<'a, 'i> {
    input: &'a mut Input<'i>,
    buffer: Box<[u8; CAPACITY + PADDING]>,
    /// Where the next load begins.
    position: usize,
    /// Where the bytes end.
    end: usize,
    /// Loads of 8 bytes must end here at the latest.
    load_end: usize,
    /// The next bits, from the uppermost on.
    window: u64,
    /// How many bits of `window` are valid: at least; the rest are those that will follow, or zero.
    valid: u32,
    /// The marker that ended the interval, if its end was seen.
    marker: Option<u8>,
    /// How many bytes were taken behind the end of the interval.
    zeros: u32,
}

impl<'a, 'i> Bits<'a, 'i> {
    /// Begins at the position of `input`.
    pub(super) fn new(input: &'a mut Input<'i>) -> Self {
        Self {
            input,
            buffer: Box::new([0; CAPACITY + PADDING]),
            position: 0,
            end: 0,
            load_end: 0,
            window: 0,
            valid: 0,
            marker: None,
            zeros: 0,
        }
    }

    /// The next bits, the first uppermost. 56 of them are valid after a refill.
    #[inline(always)]
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Passes over `count` bits, not more than are valid.
    #[inline(always)]
    pub(super) fn consume(&mut self, count: u32) {
        self.window <<= count;
        self.valid = self.valid.wrapping_sub(count);
    }

    /// Takes `count` bits: 0 to 16.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> i32 {
        // Two shifts, as one by 64 is not defined.
        let [low, high, ..] = (self.window >> 1 >> (63 - count)).to_le_bytes();
        let value = i32::from(u16::from_le_bytes([low, high]));
        self.consume(count);
        value
    }

    /// Takes a number of `size` bits, whose sign is told by its first bit (T.81 section F.2.2.1, EXTEND).
    #[inline(always)]
    pub(super) fn take_signed(&mut self, size: u32) -> i32 {
        let value = self.take(size);
        if size > 0 && value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value }
    }

    /// Makes sure that 56 bits are valid.
    #[inline(always)]
    pub(super) fn refill(&mut self) -> Result<(), PreviewError> {
        if self.position + 8 > self.load_end {
            self.fill()?;
        }
        // After Fabian Giesen, "Reading bits in far too many ways" (2018), variant 4.
        let bytes = self.buffer.get(self.position..self.position + 8).and_then(|bytes| bytes.try_into().ok());
        self.window |= u64::from_be_bytes(bytes.unwrap_or_default()) >> self.valid;
        self.position += usize::from(((63 - self.valid) >> 3).to_le_bytes()[0]);
        self.valid |= 56;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) -> Result<(), PreviewError> {
        if self.marker.is_some() {
            return Err(short());
        }
        self.buffer.copy_within(self.position..self.end, 0);
        self.end -= self.position;
        self.position = 0;
        while self.marker.is_none() && self.end < 8 {
            self.unstuff()?;
        }
        if self.marker.is_some() {
            self.buffer[self.end..self.end + PADDING].fill(0);
        }
        self.load_end = if self.marker.is_some() { self.end + PADDING } else { self.end };
        Ok(())
    }

    /// Takes what is available up to the next marker.
    fn unstuff(&mut self) -> Result<(), PreviewError> {
        if self.input.ended()? {
            self.marker = Some(END);
            return Ok(());
        }
        let bytes = self.input.available()?;
        let mut taken = 0;
        while taken < bytes.len() && self.end < CAPACITY {
            let rest = &bytes[taken..];
            let rest = &rest[..rest.len().min(CAPACITY - self.end)];
            let plain = memchr::memchr(0xff, rest).unwrap_or(rest.len());
            self.buffer[self.end..self.end + plain].copy_from_slice(&rest[..plain]);
            self.end += plain;
            taken += plain;
            if plain == rest.len() {
                continue;
            }
            if bytes.get(taken + 1) == Some(&0) {
                self.buffer[self.end] = 0xff;
                self.end += 1;
                taken += 2;
                continue;
            }
            // A marker, or the answer lies beyond this piece.
            self.input.consume(taken + 1);
            return self.after_ff();
        }
        self.input.consume(taken);
        Ok(())
    }

    fn after_ff(&mut self) -> Result<(), PreviewError> {
        let mut filled = false;
        loop {
            if self.input.ended()? {
                self.marker = Some(END);
                return Ok(());
            }
            match self.input.byte()? {
                0x00 if !filled => {
                    self.buffer[self.end] = 0xff;
                    self.end += 1;
                    return Ok(());
                }
                0xff => filled = true,
                code => {
                    self.marker = Some(code);
                    return Ok(());
                }
            }
        }
    }

    /// Ends an interval: all that was read must have been there. The rest of its data is passed over.
    /// Returns the marker behind it.
    pub(super) fn finish_interval(&mut self) -> Result<u8, PreviewError> {
        let valid = usize::from(self.valid.to_le_bytes()[0]);
        if self.marker.is_some() && self.position * 8 > self.end * 8 + valid {
            return Err(short());
        }
        loop {
            if let Some(marker) = self.marker {
                return Ok(marker);
            }
            (self.position, self.end) = (0, 0);
            self.unstuff()?;
        }
    }

    /// The marker that ended the interval, if its end was seen.
    pub(super) fn marker(&self) -> Option<u8> {
        self.marker
    }

    /// Takes a byte, for the arithmetic decoder, which uses nothing else here. Behind the end come zeros: encoders leave
    /// them out (T.81 section D.1.8). Fails where they are more than an encoder can have left out.
    pub(super) fn byte(&mut self) -> Result<u8, PreviewError> {
        while self.position == self.end && self.marker.is_none() {
            (self.position, self.end) = (0, 0);
            self.unstuff()?;
        }
        if self.position < self.end {
            self.position += 1;
            return Ok(self.buffer[self.position - 1]);
        }
        self.zeros += 1;
        if self.zeros > ZEROS_MAX { Err(short()) } else { Ok(0) }
    }

    /// Goes on with the interval behind the restart marker that is the `count`th of the scan (T.81 section E.2.4).
    pub(super) fn restart(&mut self, count: u32) -> Result<(), PreviewError> {
        let expected = RST0 + (count % 8).to_le_bytes()[0];
        if self.finish_interval()? != expected {
            return Err(damaged("a restart marker is missing"));
        }
        (self.position, self.end, self.load_end) = (0, 0, 0);
        (self.window, self.valid, self.marker, self.zeros) = (0, 0, None, 0);
        Ok(())
    }
}

fn short() -> PreviewError {
    damaged("its compressed data ends too early")
}
