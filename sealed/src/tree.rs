//! Verified blocks: a list of hashes that lets every block of a sealed copy be checked alone, as it arrives.
//!
//! A file is cut into blocks of [`BLOCK_BYTES`], aligned, the last one shorter. The list holds for each the BLAKE3
//! chaining value of the subtree over it; a block is 2^10 BLAKE3 chunks at a multiple of that size, which is always
//! a whole subtree, so the values merge to exactly the standard BLAKE3 hash of the file (BLAKE3 paper, section 2.1).
//! A file of a single block has no inner node: its one entry is the hash of the file. An empty file has no blocks.
//!
//! What always holds: a [`BlockList`] merges to its root, so whoever trusts the root may trust each entry. The list
//! itself can come from anybody. What this file does not do: fetch, store or order blocks.

use std::fmt;
use std::io::{self, Read};

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a block; a power of two, and a multiple of BLAKE3's chunk of 1 KiB.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Bytes of a hash and of an entry of a [`BlockList`].
pub const HASH_BYTES: usize = 32;

/// Bytes of the longest sealed copy: 16 GiB. Its list is 2^14 blocks, 512 KiB, which fits a frame of 1 MiB.
pub const SEALED_BYTES_MAX: u64 = 16 << 30;

/// Bytes read at a time by [`hash_file`]: small enough for the cache, large enough for the widest SIMD.
const READ_BYTES: usize = 1 << 17;

type Entry = [u8; HASH_BYTES];

/// Why a list or a block is refused.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The file is longer than [`SEALED_BYTES_MAX`].
    #[error("a file of at least {0} bytes is over the limit of {SEALED_BYTES_MAX}")]
    TooLarge(u64),
    /// The bytes are not as many as the blocks of the file need.
    #[error("block list of {found} bytes instead of {expected}")]
    ListLength {
        /// Bytes that the list of a file of this length has.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The entries do not merge to the root: the list belongs to another file, or is damaged.
    #[error("block list does not match the hash of the file")]
    Root,
    /// The file has no such block.
    #[error("no block {index} in a file of {blocks} blocks")]
    NoSuchBlock {
        /// The index asked for, from 0.
        index: usize,
        /// Blocks of the file.
        blocks: usize,
    },
    /// The bytes are not as many as this block has.
    #[error("block {index} has {found} bytes instead of {expected}")]
    BlockLength {
        /// The index of the block.
        index: usize,
        /// Bytes of that block.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The bytes are not those of this block.
    #[error("block {0} is damaged")]
    Block(usize),
    /// The file cannot be read.
    #[error("cannot read the file to hash")]
    Read(#[source] io::Error),
}

/// The hashes of all blocks of one file, known to belong to its root hash.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockList {
    total_len: u64,
    root: Entry,
    entries: Vec<Entry>,
}

impl BlockList {
    /// Checks a list from elsewhere: `bytes` as of [`BlockList::to_bytes`], for a file of `total_len` bytes whose
    /// BLAKE3 hash is `expected_root`. After that every block can be verified alone.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`], [`TreeError::ListLength`] or [`TreeError::Root`]; the first two before anything is
    /// allocated or hashed.
    pub fn from_bytes(
        total_len: u64,
        bytes: &[u8],
        expected_root: &[u8; HASH_BYTES],
    ) -> Result<Self, TreeError> {
        let expected = block_count(total_len)? * HASH_BYTES;
        if bytes.len() != expected {
            return Err(TreeError::ListLength { expected, found: bytes.len() });
        }
        let (entries, _) = bytes.as_chunks::<HASH_BYTES>();
        if merge_root(entries) != *expected_root {
            return Err(TreeError::Root);
        }
        Ok(Self { total_len, root: *expected_root, entries: entries.to_vec() })
    }

    /// The entries one after the other, [`HASH_BYTES`] each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries.as_flattened().to_vec()
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no blocks, which is so for an empty file only.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// The BLAKE3 hash of the whole file.
    #[must_use]
    pub fn root(&self) -> &[u8; HASH_BYTES] {
        &self.root
    }

    /// Length in bytes of a block: [`BLOCK_BYTES`], less for the last; `None` behind the end.
    #[must_use]
    pub fn block_len(&self, index: usize) -> Option<usize> {
        if index >= self.entries.len() {
            return None;
        }
        let left = self.total_len.checked_sub(block_offset(index))?;
        Some(usize::try_from(left).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES)))
    }

    /// Checks that `block` is the block at `index`, from 0, whole.
    ///
    /// # Errors
    /// [`TreeError::NoSuchBlock`], [`TreeError::BlockLength`], or [`TreeError::Block`] if the content differs.
    pub fn verify(&self, index: usize, block: &[u8]) -> Result<(), TreeError> {
        self.entry(index, block.len())?;
        let mut check = self.check(index);
        check.update(block);
        self.finish(&check)
    }

    /// Checks a block that has arrived in pieces: that it is whole and the one of the list.
    ///
    /// # Errors
    /// As [`BlockList::verify`].
    pub fn finish(&self, check: &BlockCheck) -> Result<(), TreeError> {
        let entry = self.entry(check.index, check.bytes)?;
        if check.value() == *entry { Ok(()) } else { Err(TreeError::Block(check.index)) }
    }

    /// The entry of a block, if it has so many bytes.
    fn entry(&self, index: usize, found: usize) -> Result<&Entry, TreeError> {
        let (Some(expected), Some(entry)) = (self.block_len(index), self.entries.get(index)) else {
            return Err(TreeError::NoSuchBlock { index, blocks: self.len() });
        };
        if found == expected { Ok(entry) } else { Err(TreeError::BlockLength { index, expected, found }) }
    }

    /// A check of the block at `index` in pieces, as they arrive; [`BlockList::finish`] tells its outcome.
    #[must_use]
    pub fn check(&self, index: usize) -> BlockCheck {
        let mut hasher = Hasher::new();
        let only = self.entries.len() == 1;
        if !only && index < self.entries.len() {
            hasher.set_input_offset(block_offset(index));
        }
        BlockCheck { hasher, only, index, bytes: 0 }
    }
}

/// One block that arrives in pieces. See [`BlockList::check`].
#[derive(Debug, Clone)]
pub struct BlockCheck {
    hasher: Hasher,
    /// The file has no other block.
    only: bool,
    index: usize,
    bytes: usize,
}

impl BlockCheck {
    /// Which block it is.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Bytes of the block so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next bytes of the block; what is more than a block has is found out at its end.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes = self.bytes.saturating_add(bytes.len());
        // No subtree is larger than a block, which the hasher would hold against its caller.
        if self.bytes <= BLOCK_BYTES {
            self.hasher.update(bytes);
        }
        self
    }

    /// Of a block that is not empty.
    fn value(&self) -> Entry {
        if self.only { *self.hasher.finalize().as_bytes() } else { self.hasher.finalize_non_root() }
    }
}

impl fmt::Debug for BlockList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockList")
            .field("total_len", &self.total_len)
            .field("root", &blake3::Hash::from_bytes(self.root))
            .field("blocks", &self.entries.len())
            .finish()
    }
}

/// Hashes a file that is written or read from front to end, and lists its blocks on the way.
///
/// Takes pieces of any size; fastest with pieces of a power of two of at least 64 KiB, at multiples of their size.
#[derive(Debug, Clone, Default)]
pub struct BlockHasher {
    entries: Vec<Entry>,
    /// The block being filled; holds no bytes just after the previous one was completed.
    block: Hasher,
    block_bytes: usize,
    total_len: u64,
    /// The hash of block 0 as a file of its own, should no other follow.
    only: Option<Entry>,
}

impl BlockHasher {
    /// A hasher that has seen no bytes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes hashed so far.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] if the file gets longer than [`SEALED_BYTES_MAX`]; these bytes were not taken.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), TreeError> {
        let total_len = self.total_len.saturating_add(bytes.len() as u64);
        if total_len > SEALED_BYTES_MAX {
            return Err(TreeError::TooLarge(total_len));
        }
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.block_bytes));
            self.block.update(piece);
            self.block_bytes += piece.len();
            if self.block_bytes == BLOCK_BYTES {
                self.complete_block();
            }
            bytes = rest;
        }
        self.total_len = total_len;
        Ok(())
    }

    fn complete_block(&mut self) {
        if self.entries.is_empty() {
            self.only = Some(*self.block.finalize().as_bytes());
        }
        self.entries.push(self.block.finalize_non_root());
        // A reset hasher would keep the offset of the block before.
        self.block = Hasher::new();
        self.block.set_input_offset(block_offset(self.entries.len()));
        self.block_bytes = 0;
    }

    /// The list of the file that ends here.
    #[must_use]
    pub fn finish(mut self) -> BlockList {
        if self.block_bytes > 0 {
            self.complete_block();
        }
        if let ([entry], Some(only)) = (self.entries.as_mut_slice(), self.only) {
            *entry = only;
        }
        BlockList { total_len: self.total_len, root: merge_root(&self.entries), entries: self.entries }
    }
}

/// Hashes everything that `reader` gives, in constant memory but for the list itself. Returns the BLAKE3 hash and
/// the list.
///
/// # Errors
/// [`TreeError::Read`] from the reader, [`TreeError::TooLarge`] behind [`SEALED_BYTES_MAX`] bytes.
pub fn hash_file<R: Read>(mut reader: R) -> Result<([u8; HASH_BYTES], BlockList), TreeError> {
    let mut hasher = BlockHasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let filled = read_full(&mut reader, &mut buffer).map_err(TreeError::Read)?;
        hasher.update(buffer.get(..filled).unwrap_or_default())?;
        if filled < buffer.len() {
            let list = hasher.finish();
            return Ok((list.root, list));
        }
    }
}

/// Reads until the buffer is full or the reader at its end; returns how many bytes it got.
fn read_full<R: Read>(reader: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn block_count(total_len: u64) -> Result<usize, TreeError> {
    if total_len > SEALED_BYTES_MAX {
        return Err(TreeError::TooLarge(total_len));
    }
    usize::try_from(total_len.div_ceil(BLOCK_BYTES as u64)).map_err(|_| TreeError::TooLarge(total_len))
}

fn block_offset(index: usize) -> u64 {
    (index as u64).saturating_mul(BLOCK_BYTES as u64)
}

/// The root hash over all entries of a file.
fn merge_root(entries: &[Entry]) -> Entry {
    match entries {
        [] => *blake3::hash(&[]).as_bytes(),
        [only] => *only,
        _ => {
            let (left, right) = entries.split_at(left_subtree_blocks(entries.len()));
            *merge_subtrees_root(&merge(left), &merge(right), Mode::Hash).as_bytes()
        }
    }
}

/// The chaining value over the entries of a subtree; recursion is as deep as the tree, 14 at most.
fn merge(entries: &[Entry]) -> Entry {
    match entries {
        [] => Entry::default(),
        [only] => *only,
        _ => {
            let (left, right) = entries.split_at(left_subtree_blocks(entries.len()));
            merge_subtrees_non_root(&merge(left), &merge(right), Mode::Hash)
        }
    }
}

/// Blocks in the left half of a tree over `blocks`, at least 2: the largest power of two below that number.
/// `left_subtree_len` of BLAKE3 in units of blocks, which is the same as blocks are a power of two of bytes.
fn left_subtree_blocks(blocks: usize) -> usize {
    blocks.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests;
