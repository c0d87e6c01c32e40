//! Sealing: an original goes in as it is read, its sealed copy comes out, and every hash is made on the way.
//!
//! Each chunk is hashed, encrypted in place and hashed again while it is in the cache; nothing is read twice.
//!
//! What always holds: the salt is fresh, so two sealings of an original have nothing in common to an observer; the
//! output is written in order, and is a sealed copy only after [`Sealer::finish`]: what an abandoned sealer has
//! written is cut short, which every opener detects. After an error nothing more is sealed, so that no nonce is
//! used a second time. What this does not do: sync or rename files.

use std::fmt;
use std::io::{self, Read, Write};

use ring::error::Unspecified;
use zeroize::Zeroizing;

use crate::cipher::ChunkCipher;
use crate::header::{CHUNK_BYTES, HEADER_BYTES, Header, SALT_BYTES, TAG_BYTES};
use crate::keys::{ContentKey, fill_random};
use crate::tree::{BLOCK_BYTES, BlockHasher, BlockList, HASH_BYTES, SEALED_BYTES_MAX, TreeError};

/// Bytes written at a time, but for the last write.
const WRITE_BYTES: usize = 1 << 18;

/// The sealed bytes are hashed in steps of this size at multiples of it, where BLAKE3 is fastest: chunks with their
/// tags lie across its tree, and hashed one by one are hashed at little more than half the rate.
const HASH_STEP: usize = 1 << 16;

const _: () = assert!(WRITE_BYTES.is_multiple_of(HASH_STEP) && BLOCK_BYTES.is_multiple_of(HASH_STEP));
// So that one write after each chunk is enough to keep room for the next.
const _: () = assert!(CHUNK_BYTES + TAG_BYTES <= WRITE_BYTES);

/// Why an original cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The operating system gives no random bytes.
    #[error("the system gives no random bytes for a key")]
    Random,
    /// The cipher refused, which it does only for sizes that cannot occur.
    #[error("cannot encrypt a chunk of the original")]
    Cipher,
    /// The sealed copy would be longer than [`SEALED_BYTES_MAX`].
    #[error("the original is too large to be sealed: a sealed copy has at most {SEALED_BYTES_MAX} bytes")]
    TooLarge,
    /// The original cannot be read.
    #[error("cannot read the original")]
    Read(#[source] io::Error),
    /// The sealed copy cannot be written.
    #[error("cannot write the sealed copy")]
    Write(#[source] io::Error),
    /// An earlier error has ended this sealing.
    #[error("the sealing has failed before")]
    Failed,
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Cipher
    }
}

impl From<TreeError> for SealError {
    fn from(_: TreeError) -> Self {
        Self::TooLarge
    }
}

/// What is known of an original and its sealed copy once it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// BLAKE3 of the original: the id of the image.
    pub plain_hash: [u8; HASH_BYTES],
    /// Length of the original in bytes.
    pub plain_bytes: u64,
    /// BLAKE3 of the sealed copy.
    pub hash: [u8; HASH_BYTES],
    /// Length of the sealed copy in bytes.
    pub bytes: u64,
    /// The blocks of the sealed copy.
    pub blocks: BlockList,
}

/// Seals one original into a writer.
pub struct Sealer<W> {
    writer: W,
    cipher: ChunkCipher,
    plain: blake3::Hasher,
    plain_bytes: u64,
    blocks: BlockHasher,
    /// Sealed bytes to be written, then plaintext of the open chunk, then room. Starts at a multiple of
    /// [`HASH_STEP`] in the file.
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes of the buffer that are sealed.
    sealed: usize,
    /// Bytes of the buffer that are sealed and hashed.
    hashed: usize,
    /// Bytes of plaintext in the open chunk, behind the sealed ones.
    open: usize,
    /// Index of the open chunk.
    index: u64,
    /// Most bytes that the sealed copy may have.
    bytes_max: u64,
    /// Set while a chunk is being sealed, and left set by an error.
    failed: bool,
}

impl<W: Write> Sealer<W> {
    /// Begins a sealed copy under a key. Nothing is written yet.
    ///
    /// # Errors
    /// [`SealError::Random`] if there is no salt to be had.
    pub fn new(writer: W, key: &ContentKey) -> Result<Self, SealError> {
        let mut salt = [0; SALT_BYTES];
        fill_random(&mut salt)?;
        Self::with_salt(writer, key, salt)
    }

    /// The salt must be fresh: the same content key and salt for two originals would give both away.
    fn with_salt(writer: W, key: &ContentKey, salt: [u8; SALT_BYTES]) -> Result<Self, SealError> {
        let header = Header::new(salt);
        let mut buffer = Zeroizing::new(vec![0; WRITE_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES)]);
        buffer[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        Ok(Self {
            writer,
            cipher: ChunkCipher::new(key, &header)?,
            plain: blake3::Hasher::new(),
            plain_bytes: 0,
            blocks: BlockHasher::new(),
            buffer,
            sealed: HEADER_BYTES,
            hashed: 0,
            open: 0,
            index: 0,
            bytes_max: SEALED_BYTES_MAX,
            failed: false,
        })
    }

    /// Seals the next bytes of the original.
    ///
    /// # Errors
    /// [`SealError::Write`], [`SealError::TooLarge`], [`SealError::Cipher`], and [`SealError::Failed`] after any
    /// error before.
    pub fn push(&mut self, mut plain: &[u8]) -> Result<(), SealError> {
        while !plain.is_empty() {
            let room = self.room()?;
            let (piece, rest) = plain.split_at(plain.len().min(room.len()));
            room[..piece.len()].copy_from_slice(piece);
            self.took(piece.len())?;
            plain = rest;
        }
        Ok(())
    }

    /// Seals all that `reader` gives, without a copy between, and returns how many bytes that was.
    ///
    /// # Errors
    /// As [`Sealer::push`], and [`SealError::Read`] from the reader; after that one the sealing can go on.
    pub fn push_from<R: Read>(&mut self, mut reader: R) -> Result<u64, SealError> {
        let mut total = 0;
        loop {
            match reader.read(self.room()?) {
                Ok(0) => return Ok(total),
                Ok(read) => {
                    self.took(read)?;
                    total += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SealError::Read(error)),
            }
        }
    }

    /// Seals the last chunk, writes and flushes what is left, and gives the writer back.
    ///
    /// # Errors
    /// As [`Sealer::push`]. What was written is then no sealed copy.
    pub fn finish(mut self) -> Result<(W, Sealed), SealError> {
        self.seal_chunk(true, 0)?;
        self.blocks.update(&self.buffer[self.hashed..self.sealed])?;
        self.writer.write_all(&self.buffer[..self.sealed]).map_err(SealError::Write)?;
        self.writer.flush().map_err(SealError::Write)?;
        let blocks = self.blocks.finish();
        let sealed = Sealed {
            plain_hash: *self.plain.finalize().as_bytes(),
            plain_bytes: self.plain_bytes,
            hash: *blocks.root(),
            bytes: blocks.total_len(),
            blocks,
        };
        Ok((self.writer, sealed))
    }

    /// Room for the next plaintext, never empty: in the open chunk, or once that is full, at the place of the chunk
    /// behind it and its tag. A full chunk stays open until more has come, as until then it may be the last.
    fn room(&mut self) -> Result<&mut [u8], SealError> {
        if self.failed {
            return Err(SealError::Failed);
        }
        let full = self.sealed + CHUNK_BYTES;
        if self.open < CHUNK_BYTES {
            Ok(&mut self.buffer[self.sealed + self.open..full])
        } else {
            Ok(&mut self.buffer[full + TAG_BYTES..full + TAG_BYTES + CHUNK_BYTES])
        }
    }

    /// Counts in what was put into the room.
    fn took(&mut self, bytes: usize) -> Result<(), SealError> {
        if self.open < CHUNK_BYTES {
            self.open += bytes;
            Ok(())
        } else {
            self.seal_chunk(false, bytes)
        }
    }

    /// Seals the open chunk; behind its tag, the next one has `next` bytes already.
    fn seal_chunk(&mut self, last: bool, next: usize) -> Result<(), SealError> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(SealError::Failed);
        }
        let end = self.sealed + self.open;
        let unhashed = end + TAG_BYTES - self.hashed;
        if self.blocks.total_len() + unhashed as u64 > self.bytes_max {
            return Err(SealError::TooLarge);
        }
        let chunk = &mut self.buffer[self.sealed..end];
        self.plain.update(chunk);
        self.plain_bytes += chunk.len() as u64;
        let tag = self.cipher.seal(self.index, last, chunk)?;
        self.buffer[end..end + TAG_BYTES].copy_from_slice(&tag);
        self.sealed = end + TAG_BYTES;
        self.open = next;
        self.index += 1;
        self.hash_and_write()?;
        self.failed = false;
        Ok(())
    }

    fn hash_and_write(&mut self) -> Result<(), SealError> {
        let whole_steps = self.sealed - self.sealed % HASH_STEP;
        self.blocks.update(&self.buffer[self.hashed..whole_steps])?;
        self.hashed = whole_steps;
        if self.sealed >= WRITE_BYTES {
            self.writer.write_all(&self.buffer[..WRITE_BYTES]).map_err(SealError::Write)?;
            self.buffer.copy_within(WRITE_BYTES..self.sealed + self.open, 0);
            self.sealed -= WRITE_BYTES;
            self.hashed -= WRITE_BYTES;
        }
        Ok(())
    }
}

impl<W> fmt::Debug for Sealer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("chunk", &self.index)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
