//! The bytes of a JPEG file: segments, and the gaps between them.
//!
//! Knows where it stands, skips by seeking, and turns the end of the file into "damaged", or where a marker is
//! expected into a marker of its own.

use std::io::{self, BufRead, ErrorKind, Seek, SeekFrom};

use crate::{Format, PreviewError};

/// Anything that a preview is made of.
pub(super) trait Source: BufRead + Seek {}

impl<T: BufRead + Seek> Source for T {}

/// A source and the position in it.
pub(super) struct Input<'a> {
    source: &'a mut dyn Source,
    position: u64,
}

impl<'a> Input<'a> {
    /// Of a source that stands at its beginning.
    pub(super) fn new(source: &'a mut dyn Source) -> Self {
        Self { source, position: 0 }
    }

    /// Bytes from the beginning of the file.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn seek(&mut self, position: u64) -> Result<(), PreviewError> {
        self.source.seek(SeekFrom::Start(position))?;
        self.position = position;
        Ok(())
    }

    /// The bytes that can be had at once; never none.
    pub(super) fn available(&mut self) -> Result<&[u8], PreviewError> {
        loop {
            match self.source.fill_buf() {
                Ok([]) => return Err(ends()),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.source.fill_buf()?)
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.position += len_u64(count);
    }

    pub(super) fn byte(&mut self) -> Result<u8, PreviewError> {
        let byte = self.available()?.first().copied().ok_or_else(ends)?;
        self.consume(1);
        Ok(byte)
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<(), PreviewError> {
        self.source.read_exact(out).map_err(|error| PreviewError::from_read(Format::Jpeg, error))?;
        self.position += len_u64(out.len());
        Ok(())
    }

    /// The length of the segment that begins here, without the length itself (T.81 section B.1.1.4).
    pub(super) fn segment_len(&mut self) -> Result<usize, PreviewError> {
        let mut bytes = [0; 2];
        self.read(&mut bytes)?;
        usize::from(u16::from_be_bytes(bytes))
            .checked_sub(2)
            .ok_or_else(|| damaged("a segment has no length"))
    }

    /// Goes on by `count` bytes, at most a segment. Beyond the end of the file, the next read fails.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), PreviewError> {
        let offset = i64::try_from(count).map_err(|_| ends())?;
        self.source.seek_relative(offset)?;
        self.position += len_u64(count);
        Ok(())
    }

    /// Whether the file ends here.
    pub(super) fn ended(&mut self) -> Result<bool, PreviewError> {
        match self.available() {
            Ok(_) => Ok(false),
            Err(PreviewError::Damaged(..)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Goes on behind the next marker and returns it, or [`END`] where the file ends before it. Entropy-coded data, stuffed bytes and restart markers are
    /// passed over (T.81 section B.1.1.2 and B.1.1.5).
    pub(super) fn next_marker(&mut self) -> Result<u8, PreviewError> {
        while !self.ended()? {
            let bytes = self.available()?;
            let Some(at) = memchr::memchr(0xff, bytes) else {
                let count = bytes.len();
                self.consume(count);
                continue;
            };
            self.consume(at + 1);
            while !self.ended()? {
                match self.byte()? {
                    0xff => {}
                    0x00 | 0x01 | RST0..=RST7 => break,
                    code => return Ok(code),
                }
            }
        }
        Ok(END)
    }
}

/// Stands for the end of the file where a marker should be. No marker has this code, as it is what fills gaps.
pub(super) const END: u8 = 0xff;
/// The first restart marker.
pub(super) const RST0: u8 = 0xd0;
/// The last restart marker.
pub(super) const RST7: u8 = 0xd7;

pub(super) fn damaged(reason: &'static str) -> PreviewError {
    PreviewError::damaged(Format::Jpeg, reason)
}

pub(super) fn ends() -> PreviewError {
    PreviewError::from_read(Format::Jpeg, io::Error::from(ErrorKind::UnexpectedEof))
}

fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
