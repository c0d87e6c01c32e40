//! Opening: the original out of its sealed copy, chunk by chunk, at any place.
//!
//! What always holds: [`Opener::new`] has authenticated the last chunk, so the key is right, the header is whole and
//! the length is the original's before anything is read; and no byte is given out of a chunk that was not
//! authenticated at its place. One chunk is held in memory, and wiped when another takes its place or the opener is
//! dropped. What this does not do: check the hash of the file, or of the plaintext; whoever fetched the file has done
//! the one ([`crate::tree`]), and the key authenticates the other.

use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use zeroize::{Zeroize, Zeroizing};

use crate::cipher::ChunkCipher;
use crate::header::{HEADER_BYTES, Header, HeaderError, Layout, TAG_BYTES};
use crate::keys::ContentKey;

/// Why a sealed copy cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The header, or the length of the file, is not that of a sealed copy.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The key does not fit, or the header or the end of the file is damaged; there is no telling which.
    #[error("the sealed copy does not open: wrong key, or damaged or cut short")]
    Key,
    /// A chunk was changed.
    #[error("chunk {0} of the sealed copy is damaged")]
    Chunk(u64),
    /// The cipher cannot be set up, which no input can bring about.
    #[error("cannot set up the cipher")]
    Cipher,
    /// The file cannot be read.
    #[error("cannot read the sealed copy")]
    Read(#[source] io::Error),
}

impl From<OpenError> for io::Error {
    /// Keeps the kind of a read error, all others are `InvalidData`; the [`OpenError`] is the inner error.
    fn from(error: OpenError) -> Self {
        let kind = match &error {
            OpenError::Read(source) => source.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

/// Reads the header, from the start to its end.
fn read_header<R: Read + Seek>(reader: &mut R) -> Result<(Header, Layout), OpenError> {
    let sealed_len = reader.seek(SeekFrom::End(0)).map_err(OpenError::Read)?;
    if sealed_len < HEADER_BYTES as u64 {
        return Err(HeaderError::Length(sealed_len).into());
    }
    reader.rewind().map_err(OpenError::Read)?;
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header).map_err(OpenError::Read)?;
    let header = Header::parse(&header)?;
    let layout = header.layout(sealed_len)?;
    Ok((header, layout))
}

/// Length in bytes of the original of a sealed copy, which is all of `reader`, from its header and its own length: without a key,
/// and so only as true as the copy.
///
/// # Errors
/// [`OpenError::Header`] for another kind of file, [`OpenError::Read`] from the reader.
pub fn plain_len_of<R: Read + Seek>(reader: &mut R) -> Result<u64, OpenError> {
    Ok(read_header(reader)?.1.plain_len())
}

/// Reads the plaintext of one sealed copy: [`Read`], [`BufRead`] and [`Seek`], or [`Opener::next_chunk`].
///
/// Errors of these traits carry an [`OpenError`] as their inner error.
pub struct Opener<R> {
    reader: R,
    cipher: ChunkCipher,
    layout: Layout,
    chunk_bytes: u64,
    /// One chunk and its tag; plaintext of chunk `loaded` if there is one.
    buffer: Zeroizing<Vec<u8>>,
    loaded: Option<u64>,
    /// Where the reader stands, if that is known: chunks in order need no seek.
    reader_at: Option<u64>,
    /// Position in the plaintext; may be behind the end.
    position: u64,
}

impl<R: Read + Seek> Opener<R> {
    /// Opens a sealed copy, which is all of `reader` from its start to its end.
    ///
    /// # Errors
    /// [`OpenError::Header`] for another kind of file, [`OpenError::Key`] if it does not open with this key,
    /// [`OpenError::Read`] from the reader.
    pub fn new(mut reader: R, key: &ContentKey) -> Result<Self, OpenError> {
        let (header, layout) = read_header(&mut reader)?;
        let mut opener = Self {
            reader,
            cipher: ChunkCipher::new(key, &header).map_err(|_| OpenError::Cipher)?,
            layout,
            chunk_bytes: header.chunk_bytes() as u64,
            buffer: Zeroizing::new(vec![0; header.chunk_bytes() + TAG_BYTES]),
            loaded: None,
            reader_at: Some(HEADER_BYTES as u64),
            position: 0,
        };
        match opener.load(layout.last()) {
            Ok(_) => Ok(opener),
            Err(OpenError::Chunk(_)) => Err(OpenError::Key),
            Err(error) => Err(error),
        }
    }

    /// Length of the plaintext in bytes.
    #[must_use]
    pub fn plain_len(&self) -> u64 {
        self.layout.plain_len()
    }

    /// The plaintext from the position to the end of its chunk, and moves the position there; `None` at the end.
    /// The way to stream a whole original: no byte is copied.
    ///
    /// # Errors
    /// [`OpenError::Chunk`] if the chunk is not authentic, [`OpenError::Read`] from the reader. The position stays.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, OpenError> {
        if self.position >= self.plain_len() {
            return Ok(None);
        }
        let index = self.position / self.chunk_bytes;
        let len = self.load(index)?;
        let from = usize::try_from(self.position % self.chunk_bytes).unwrap_or(len);
        self.position += len.saturating_sub(from) as u64;
        Ok(self.buffer.get(from..len))
    }

    /// Makes the buffer hold the plaintext of a chunk, and returns its length.
    fn load(&mut self, index: u64) -> Result<usize, OpenError> {
        let len = usize::try_from(self.layout.chunk_len(index)).map_err(|_| OpenError::Chunk(index))?;
        if self.loaded == Some(index) {
            return Ok(len);
        }
        self.loaded = None;
        let sealed = self.buffer.get_mut(..len + TAG_BYTES).ok_or(OpenError::Chunk(index))?;
        let offset = self.layout.offset(index);
        // Taken, not copied: after an error nobody knows where the reader stands.
        if self.reader_at.take() != Some(offset) {
            self.reader.seek(SeekFrom::Start(offset)).map_err(OpenError::Read)?;
        }
        self.reader.read_exact(sealed).map_err(OpenError::Read)?;
        self.reader_at = Some(offset + sealed.len() as u64);
        if self.cipher.open(index, index == self.layout.last(), sealed).is_err() {
            self.buffer.as_mut_slice().zeroize();
            return Err(OpenError::Chunk(index));
        }
        self.loaded = Some(index);
        Ok(len)
    }
}

impl<R: Read + Seek> BufRead for Opener<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let position = self.position;
        // Filling moves no position: a consumer says later how much of it was used.
        let len = self.next_chunk()?.map_or(0, <[u8]>::len);
        self.position = position;
        let from = usize::try_from(position % self.chunk_bytes).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..from.saturating_add(len)).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position = self.position.saturating_add(amount as u64);
    }
}

impl<R: Read + Seek> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Opener<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.plain_len().checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek before the start or beyond the largest position",
            )
        })?;
        Ok(self.position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }
}

impl<R> fmt::Debug for Opener<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("plain_len", &self.layout.plain_len())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
