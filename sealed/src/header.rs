//! The header of a sealed copy, and the arithmetic between the lengths of an original and of its sealed copy.
//!
//! ```text
//! offset  bytes
//!      0      7  "dosseal"
//!      7      1  version: ASCII "1"
//!      8      1  log2 of the chunk size in bytes of plaintext, 12 to 20
//!      9      7  reserved, zero
//!     16     32  salt, random, fresh for every sealing
//!     48      -  the chunks, one after the other: ciphertext as long as its plaintext, then a tag of 16 bytes
//! ```
//!
//! All chunks but the last hold exactly the chunk size of plaintext; the last holds 1 byte to the chunk size. An
//! empty original is one last chunk of no bytes, and only then may a chunk be empty: one original has one length.
//!
//! What always holds: the header is additional data of every chunk, so that a change of any of its bits fails the
//! first chunk opened; a header with any other layout than this is refused before a byte is allocated for it.

use crate::tree::SEALED_BYTES_MAX;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 48;

/// Bytes of the authentication tag behind every chunk (AES-GCM).
pub const TAG_BYTES: usize = 16;

/// Bytes of plaintext per chunk in new sealed copies.
pub const CHUNK_BYTES: usize = 1 << CHUNK_LOG2;

/// The one place to change for another chunk size; sealed copies with other sizes stay readable.
pub(crate) const CHUNK_LOG2: u8 = 16;

/// Smallest and largest chunk size that is read: 4 KiB, and 1 MiB, which bounds the buffer of a reader.
const CHUNK_LOG2_RANGE: std::ops::RangeInclusive<u8> = 12..=20;

/// Bytes of the salt, as many as HKDF-SHA256 has of output (RFC 5869 section 3.1).
pub(crate) const SALT_BYTES: usize = 32;

const MAGIC: &[u8; 7] = b"dosseal";
const VERSION: u8 = b'1';
const SALT_AT: usize = HEADER_BYTES - SALT_BYTES;

/// Why bytes are not the header, or a number not the length, of a sealed copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The first bytes are not those of a sealed copy.
    #[error("not a sealed copy")]
    Magic,
    /// A sealed copy, of a version that this program does not know.
    #[error("sealed copy of unknown version (byte {0})")]
    Version(u8),
    /// The chunk size is not in the range that is read.
    #[error("sealed copy with a chunk size of 2^{0} bytes, which is not supported")]
    ChunkSize(u8),
    /// A reserved byte is not zero.
    #[error("sealed copy with a reserved header byte set")]
    Reserved,
    /// No original has a sealed copy of this length.
    #[error("{0} bytes is not the length of a sealed copy")]
    Length(u64),
    /// Longer than [`SEALED_BYTES_MAX`].
    #[error("a sealed copy of {0} bytes is over the limit of {SEALED_BYTES_MAX}")]
    TooLarge(u64),
}

/// A valid header. Made anew for every sealing, or parsed from the first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    chunk_log2: u8,
    salt: [u8; SALT_BYTES],
}

impl Header {
    pub(crate) fn new(salt: [u8; SALT_BYTES]) -> Self {
        Self { chunk_log2: CHUNK_LOG2, salt }
    }

    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let [magic @ .., version, chunk_log2] = bytes.first_chunk::<9>().ok_or(HeaderError::Magic)?;
        if magic != MAGIC {
            return Err(HeaderError::Magic);
        }
        if *version != VERSION {
            return Err(HeaderError::Version(*version));
        }
        if !CHUNK_LOG2_RANGE.contains(chunk_log2) {
            return Err(HeaderError::ChunkSize(*chunk_log2));
        }
        let (front, salt) = bytes.split_last_chunk::<SALT_BYTES>().ok_or(HeaderError::Magic)?;
        if front.iter().skip(MAGIC.len() + 2).any(|byte| *byte != 0) {
            return Err(HeaderError::Reserved);
        }
        Ok(Self { chunk_log2: *chunk_log2, salt: *salt })
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[MAGIC.len()] = VERSION;
        bytes[MAGIC.len() + 1] = self.chunk_log2;
        bytes[SALT_AT..].copy_from_slice(&self.salt);
        bytes
    }

    pub(crate) fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// Bytes of plaintext in every chunk but the last.
    pub(crate) fn chunk_bytes(&self) -> usize {
        1 << self.chunk_log2
    }

    /// The chunks of a file of `sealed_len` bytes under this header.
    pub(crate) fn layout(&self, sealed_len: u64) -> Result<Layout, HeaderError> {
        Layout::of_sealed(self.chunk_bytes() as u64, sealed_len)
    }
}

/// How many chunks a sealed copy has, and how many bytes are in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    chunk_bytes: u64,
    chunks: u64,
    plain_len: u64,
}

impl Layout {
    fn of_sealed(chunk_bytes: u64, sealed_len: u64) -> Result<Self, HeaderError> {
        if sealed_len > SEALED_BYTES_MAX {
            return Err(HeaderError::TooLarge(sealed_len));
        }
        let stride = chunk_bytes + TAG_BYTES as u64;
        let body = sealed_len
            .checked_sub(HEADER_BYTES as u64)
            .filter(|body| *body >= TAG_BYTES as u64)
            .ok_or(HeaderError::Length(sealed_len))?;
        let chunks = body.div_ceil(stride);
        let last = body - (chunks - 1) * stride;
        if chunks > 1 && last <= TAG_BYTES as u64 {
            return Err(HeaderError::Length(sealed_len));
        }
        Ok(Self { chunk_bytes, chunks, plain_len: body - chunks * TAG_BYTES as u64 })
    }

    pub(crate) fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Index of the last chunk; there is always one.
    pub(crate) fn last(&self) -> u64 {
        self.chunks - 1
    }

    /// Where a chunk begins in the sealed file.
    pub(crate) fn offset(&self, index: u64) -> u64 {
        HEADER_BYTES as u64 + index * (self.chunk_bytes + TAG_BYTES as u64)
    }

    /// Bytes of plaintext in a chunk, 0 behind the end.
    pub(crate) fn chunk_len(&self, index: u64) -> u64 {
        self.plain_len.saturating_sub(index.saturating_mul(self.chunk_bytes)).min(self.chunk_bytes)
    }
}

/// Length in bytes of the sealed copy of an original of `plain_len` bytes, in chunks of [`CHUNK_BYTES`].
///
/// Saturates, so that the answer for a length that cannot be sealed is over [`SEALED_BYTES_MAX`] too.
#[must_use]
pub fn sealed_len(plain_len: u64) -> u64 {
    let chunks = plain_len.div_ceil(CHUNK_BYTES as u64).max(1);
    plain_len.saturating_add(chunks * TAG_BYTES as u64).saturating_add(HEADER_BYTES as u64)
}

/// Length in bytes of the original whose sealed copy, in chunks of [`CHUNK_BYTES`], has `sealed_len` bytes.
///
/// # Errors
/// [`HeaderError::Length`] if no original has a sealed copy of that length, [`HeaderError::TooLarge`] over
/// [`SEALED_BYTES_MAX`].
pub fn plain_len(sealed_len: u64) -> Result<u64, HeaderError> {
    Ok(Layout::of_sealed(CHUNK_BYTES as u64, sealed_len)?.plain_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = CHUNK_BYTES as u64;

    #[test]
    fn a_header_survives_its_bytes_in_the_documented_layout() {
        let header = Header::new([0xa5; SALT_BYTES]);
        let bytes = header.to_bytes();
        assert_eq!(&bytes[..16], b"dosseal1\x10\0\0\0\0\0\0\0");
        assert_eq!(&bytes[16..], &[0xa5; 32]);
        assert_eq!(Header::parse(&bytes), Ok(header));
        assert_eq!(header.chunk_bytes(), CHUNK_BYTES);
    }

    #[test]
    fn any_other_header_is_refused_by_name() {
        let good = Header::new([1; SALT_BYTES]).to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            Header::parse(&bytes)
        };
        for at in 0..7 {
            assert_eq!(with(at, b'?'), Err(HeaderError::Magic), "byte {at}");
        }
        assert_eq!(with(7, b'2'), Err(HeaderError::Version(b'2')));
        for log2 in [0, 11, 21, 63, 64, 255] {
            assert_eq!(with(8, log2), Err(HeaderError::ChunkSize(log2)));
        }
        for at in 9..16 {
            assert_eq!(with(at, 1), Err(HeaderError::Reserved), "byte {at}");
        }
        assert!(with(16, 0).is_ok());
    }

    #[test]
    fn lengths_agree_both_ways() {
        assert_eq!(sealed_len(0), 48 + 16);
        assert_eq!(sealed_len(CHUNK), 48 + CHUNK + 16);
        assert_eq!(sealed_len(CHUNK + 1), 48 + CHUNK + 1 + 32);
        for plain in
            (0..4 * CHUNK).step_by(61).chain([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
        {
            assert_eq!(plain_len(sealed_len(plain)), Ok(plain));
        }
    }

    #[test]
    fn lengths_that_no_original_has_are_refused() {
        for sealed in 0..64 {
            assert_eq!(plain_len(sealed), Err(HeaderError::Length(sealed)));
        }
        let full = sealed_len(CHUNK);
        for sealed in full + 1..=full + 16 {
            assert_eq!(plain_len(sealed), Err(HeaderError::Length(sealed)), "an empty or cut last chunk");
        }
        assert_eq!(plain_len(full + 17), Ok(CHUNK + 1));
        assert_eq!(plain_len(u64::MAX), Err(HeaderError::TooLarge(u64::MAX)));
        assert!(plain_len(SEALED_BYTES_MAX).is_ok());
        assert!(plain_len(SEALED_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn a_length_that_cannot_be_sealed_saturates() {
        assert_eq!(sealed_len(u64::MAX), u64::MAX);
        assert!(sealed_len(SEALED_BYTES_MAX) > SEALED_BYTES_MAX);
    }

    #[test]
    fn chunks_cover_the_file_without_gap() {
        for plain in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7] {
            let layout = Header::new([0; 32]).layout(sealed_len(plain)).unwrap();
            let mut at = HEADER_BYTES as u64;
            for index in 0..=layout.last() {
                assert_eq!(layout.offset(index), at);
                at += layout.chunk_len(index) + TAG_BYTES as u64;
            }
            assert_eq!(at, sealed_len(plain));
            assert_eq!(layout.chunk_len(layout.last() + 1), 0);
            assert_eq!(layout.chunk_len(u64::MAX), 0);
        }
    }
}
