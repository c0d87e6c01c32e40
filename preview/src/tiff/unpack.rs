//! The compressions of TIFF, as readers of what was compressed.
//!
//! None holds more than a window of what it reads, and what comes out is bounded by what the caller reads.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

/// The compressions that are undone here, by their number (TIFF 6.0; Adobe's supplements).
pub(super) const NONE: u64 = 1;
const LZW: u64 = 5;
const DEFLATE: u64 = 8;
const OLD_DEFLATE: u64 = 32_946;
const PACK_BITS: u64 = 32_773;

/// What was compressed in `input`, or nothing if it is not known how.
pub(super) fn unpack<'a>(compression: u64, input: impl BufRead + 'a) -> Option<Box<dyn Read + 'a>> {
    Some(match compression {
        NONE => Box::new(input),
        LZW => {
            let decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
            Box::new(Lzw { input, decoder, ended: false })
        }
        DEFLATE | OLD_DEFLATE => Box::new(ZlibDecoder::new(input)),
        PACK_BITS => Box::new(PackBits::new(input)),
        _ => return None,
    })
}

/// Whether [`unpack`] knows it.
pub(super) fn is_known(compression: u64) -> bool {
    unpack(compression, io::empty()).is_some()
}

struct Lzw<R> {
    input: R,
    decoder: Decoder,
    ended: bool,
}

impl<R: BufRead> Read for Lzw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let bytes = self.input.fill_buf()?;
            let at_end = bytes.is_empty();
            let result = self.decoder.decode_bytes(bytes, out);
            self.input.consume(result.consumed_in);
            self.ended = match result.status {
                Ok(LzwStatus::Done) => true,
                Ok(LzwStatus::Ok) => false,
                Ok(LzwStatus::NoProgress) => at_end || result.consumed_in == 0,
                Err(_) => return Err(ErrorKind::InvalidData.into()),
            };
            if result.consumed_out > 0 {
                return Ok(result.consumed_out);
            }
        }
        Ok(0)
    }
}

/// TIFF 6.0 section 9.
pub(crate) struct PackBits<R> {
    input: R,
    /// How many bytes are still to come: copies of this one, or as they stand.
    run: Option<(usize, Option<u8>)>,
}

impl<R> PackBits<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, run: None }
    }
}

impl<R: BufRead> Read for PackBits<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match self.run {
                Some((left, byte)) if left > 0 => {
                    let count = left.min(out.len());
                    let count = match byte {
                        Some(byte) => {
                            out[..count].fill(byte);
                            count
                        }
                        None => self.input.read(&mut out[..count])?,
                    };
                    self.run = (count > 0).then_some((left - count, byte));
                    return Ok(count);
                }
                _ => {}
            }
            let mut byte = [0];
            if self.input.read(&mut byte)? == 0 {
                return Ok(0);
            }
            self.run = match byte[0] {
                128 => None,
                count @ 0..=127 => Some((usize::from(count) + 1, None)),
                count => {
                    let mut byte = [0];
                    self.input.read_exact(&mut byte)?;
                    Some((257 - usize::from(count), Some(byte[0])))
                }
            };
        }
    }
}
