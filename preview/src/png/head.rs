//! The chunks of a PNG before its pixels, walked without the decoder: for the XMP, and for those of an animation.
//!
//! The still image does not need the chunks of an animation, and a mistake in them must not hide it: they are left out.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};

use crate::exif::Orientation;
use crate::shrink::to_usize;
use crate::{PreviewError, SEGMENTS_MAX, XMP_BYTES_MAX, xmp};

/// The most chunks that are left out. A still image has two of them before its pixels.
const LEFT_OUT_MAX: usize = 16;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// What the XMP tells: a chunk of text of its own (XMP part 3 section 1.1.5).
    pub(super) orientation: Option<Orientation>,
    /// The first byte of each chunk of an animation, and the one behind it.
    animation: Vec<(u64, u64)>,
}

impl Head {
    pub(super) fn read<R: BufRead + Seek>(input: &mut R) -> Result<Self, PreviewError> {
        const KEYWORD: &[u8] = b"XML:com.adobe.xmp\0\0\0";
        let mut out = Self::default();
        let mut at = 8;
        let mut head = [0; 8];
        input.seek(SeekFrom::Start(at))?;
        for _ in 0..SEGMENTS_MAX {
            if input.read_exact(&mut head).is_err() || &head[4..] == b"IDAT" {
                break;
            }
            let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let next = at + u64::from(len) + 12;
            let mut passed = 0;
            match &head[4..] {
                b"iTXt" if len <= u32::try_from(XMP_BYTES_MAX).unwrap_or(u32::MAX) => {
                    let mut text = vec![0; to_usize(len)];
                    if input.read_exact(&mut text).is_err() {
                        break;
                    }
                    passed = len;
                    let packet = text.strip_prefix(KEYWORD);
                    out.orientation = out.orientation.or_else(|| packet.and_then(xmp::orientation));
                }
                b"acTL" | b"fcTL" if out.animation.len() < LEFT_OUT_MAX => out.animation.push((at, next)),
                _ => {}
            }
            // The rest, and the checksum.
            input.seek_relative(i64::from(len - passed) + 4)?;
            at = next;
        }
        Ok(out)
    }

    /// The file without the chunks of an animation before its pixels.
    pub(super) fn still<'a, R: BufRead + Seek>(
        &self,
        input: &'a mut R,
    ) -> Result<Still<'a, R>, PreviewError> {
        input.seek(SeekFrom::Start(0))?;
        Ok(Still { input, left_out: self.animation.clone(), at: 0 })
    }
}

/// A reader that leaves something out.
#[derive(Debug)]
pub(super) struct Still<'a, R> {
    input: &'a mut R,
    /// From the last to the first.
    left_out: Vec<(u64, u64)>,
    at: u64,
}

impl<R: BufRead + Seek> Read for Still<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead + Seek> BufRead for Still<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Some(&(start, end)) = self.left_out.first()
            && self.at == start
        {
            self.input.seek(SeekFrom::Start(end))?;
            self.at = end;
            self.left_out.remove(0);
        }
        let most = self.left_out.first().map_or(u64::MAX, |&(start, _)| start - self.at);
        let available = self.input.fill_buf()?;
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(available.len());
        Ok(&available[..count])
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.at += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

impl<R> Seek for Still<'_, R> {
    /// The decoder asks for it, but has no need of it.
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(ErrorKind::Unsupported.into())
    }
}
