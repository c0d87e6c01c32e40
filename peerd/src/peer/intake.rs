//! A sealed copy that is arriving: whole blocks, each verified before it is written. Blocks on the disk.
//!
//! What always holds: the file has whole blocks only, each of which matched the list when it was written or when the
//! transfer was taken up again.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use dos_protocol::SealedHash;
use dos_sealed::{BLOCK_BYTES, BlockList};

use crate::copies::Copies;

/// Why a block was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    /// It is not the block of the list.
    #[error("block {0} is damaged")]
    Damaged(usize),
    /// It cannot be written.
    #[error("cannot write the sealed copy")]
    Disk(#[from] io::Error),
}

/// The file under way.
#[derive(Debug)]
pub(super) struct Intake {
    path: PathBuf,
    file: File,
    list: BlockList,
    blocks: usize,
    bytes: u64,
}

impl Intake {
    /// How many whole blocks the file seems to have.
    pub(super) fn blocks_at(path: &Path) -> u32 {
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        u32::try_from(bytes / block).unwrap_or(u32::MAX)
    }

    /// Opens or makes the file and verifies up to `expected` blocks that it has; what follows them is cut off.
    pub(super) fn open(path: &Path, list: BlockList, expected: usize) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        let (mut blocks, mut bytes) = (0, 0);
        let mut block = Vec::new();
        while blocks < expected {
            let Some(length) = list.block_len(blocks) else { break };
            let length = u64::try_from(length).map_err(io::Error::other)?;
            block.clear();
            (&mut file).take(length).read_to_end(&mut block)?;
            if list.verify(blocks, &block).is_err() {
                break;
            }
            blocks += 1;
            bytes += length;
        }
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { path: path.to_owned(), file, list, blocks, bytes })
    }

    /// Verified blocks so far.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Verified bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next block.
    pub(super) fn take(mut self, block: &[u8]) -> Result<Self, IntakeError> {
        self.list.verify(self.blocks, block).map_err(|_| IntakeError::Damaged(self.blocks))?;
        if let Err(error) = self.file.write_all(block) {
            // Half a block must not stay.
            drop(self.file.set_len(self.bytes));
            return Err(error.into());
        }
        self.blocks += 1;
        self.bytes += u64::try_from(block.len()).unwrap_or(0);
        Ok(self)
    }

    /// Puts the file in place once it is whole.
    pub(super) fn finish(self, copies: &Copies, hash: &SealedHash) -> io::Result<()> {
        if self.bytes != self.list.total_len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the sealed copy is not whole"));
        }
        copies.put_in_place(&self.file, &self.path, hash)
    }
}

#[cfg(test)]
mod tests {
    use dos_sealed::hash_file;

    use super::*;

    fn copy() -> (Vec<u8>, BlockList) {
        let bytes: Vec<u8> = (0..BLOCK_BYTES * 2 + 100).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (_, list) = hash_file(bytes.as_slice()).unwrap();
        (bytes, list)
    }

    #[test]
    fn a_broken_transfer_goes_on_behind_its_last_sound_block() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let mut intake = Intake::open(&path, list.clone(), 0).unwrap();
        for block in bytes[..2 * BLOCK_BYTES].chunks(BLOCK_BYTES) {
            intake = intake.take(block).unwrap();
        }
        drop(intake);
        assert_eq!(Intake::blocks_at(&path), 2);
        assert_eq!(Intake::open(&path, list.clone(), 2).unwrap().blocks(), 2);
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[BLOCK_BYTES + 5] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let intake = Intake::open(&path, list, 2).unwrap();
        assert_eq!((intake.blocks(), intake.bytes()), (1, u64::try_from(BLOCK_BYTES).unwrap()));
        assert_eq!(path.metadata().unwrap().len(), intake.bytes());
    }

    #[test]
    fn a_damaged_block_is_refused_by_its_index_and_not_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let intake = Intake::open(&path, list, 0).unwrap().take(&bytes[..BLOCK_BYTES]).unwrap();
        let mut block = bytes[BLOCK_BYTES..2 * BLOCK_BYTES].to_vec();
        block[0] ^= 1;
        assert!(matches!(intake.take(&block), Err(IntakeError::Damaged(1))));
        assert_eq!(Intake::blocks_at(&path), 1);
    }
}
