//! A sealed copy that is arriving: its bytes, in order, as they come, and a check of every block that is complete. Blocks
//! on the disk.
//!
//! What always holds: every whole block of the file matched the list when it was completed or when the transfer was taken
//! up again; behind them there may be the beginning of one more, which is checked when it is whole. A damaged block is cut
//! off. The file belongs to one intake at a time, also while an abandoned one still writes what it was given.
//!
//! What was written goes on to the disk while more arrives, so that the sync at the end finds little left to do.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    num::NonZeroU64,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use dos_protocol::SealedHash;
use dos_sealed::{BLOCK_BYTES, BlockCheck, BlockList};
use rustix::fs::{Advice, fadvise};

use crate::copies::Copies;

/// Bytes read and hashed at a time when a transfer is taken up again.
const READ_BYTES: usize = 128 << 10;

/// Bytes that are handed to the disk together: few calls, and long enough runs for any disk.
const HANDED_BYTES: u64 = 4 << 20;

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    /// With them, a block is complete and not the one of the list; the file ends before it now.
    #[error("block {0} is damaged")]
    Damaged(usize),
    /// There are more than the copy has.
    #[error("more bytes than the sealed copy has")]
    Excess,
    /// They cannot be written.
    #[error("cannot write the sealed copy")]
    Disk(#[from] io::Error),
}

/// The file under way.
#[derive(Debug)]
pub(super) struct Intake {
    path: PathBuf,
    file: File,
    list: BlockList,
    /// The block that is not whole yet.
    check: BlockCheck,
    bytes: u64,
    /// Everything before this is on its way to the disk.
    handed: u64,
}

/// Where a block begins.
pub(super) fn block_start(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    index.saturating_mul(u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX))
}

impl Intake {
    /// How many bytes the file has.
    pub(super) fn bytes_at(path: &Path) -> u64 {
        path.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Opens or makes the file and verifies the whole blocks among the first `expected` bytes that it has; a damaged one
    /// and whatever follows are cut off. `ResourceBusy` if an abandoned intake has just put the file in place.
    pub(super) fn open(path: &Path, list: BlockList, expected: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        // One that was given up may still be writing; it ends soon.
        file.lock()?;
        if path.metadata()?.ino() != file.metadata()?.ino() {
            let text = "the sealed copy was put in place meanwhile";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
        }
        let check = list.check(0);
        let mut intake = Self { path: path.to_owned(), file, list, check, bytes: 0, handed: 0 };
        intake.verify(expected)?;
        intake.handed = intake.bytes;
        intake.file.set_len(intake.bytes)?;
        intake.file.seek(SeekFrom::Start(intake.bytes))?;
        Ok(intake)
    }

    fn verify(&mut self, expected: u64) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut left = expected.min(self.list.total_len());
        while left > 0 {
            let want = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let count = self.file.read(buffer.get_mut(..want).unwrap_or_default())?;
            if count == 0 || self.count(buffer.get(..count).unwrap_or_default()).is_err() {
                break;
            }
            left -= u64::try_from(count).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes of the copy.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), IntakeError> {
        let before = self.bytes;
        if let Err(error) = self.file.write_all(bytes) {
            // What was written of them is not known.
            self.cut_at(before)?;
            return Err(error.into());
        }
        self.count(bytes).inspect_err(|_| drop(self.file.set_len(self.bytes)))?;
        self.hand_over();
        Ok(())
    }

    /// Has the kernel begin to write what it has not yet.
    fn hand_over(&mut self) {
        let ready = self.bytes.saturating_sub(self.handed);
        if ready >= HANDED_BYTES {
            // Linux begins to write the dirty pages of a range of which it is told so, and drops those that are clean: of a range that
            // was written just now there are hardly any. Without it all is written at the end, which takes longer and loses nothing.
            fadvise(&self.file, self.handed, NonZeroU64::new(ready), Advice::DontNeed).unwrap_or_default();
            self.handed = self.bytes;
        }
    }

    /// Counts in bytes that are in the file. If a block is damaged, everything up to it still counts, and no more.
    fn count(&mut self, mut bytes: &[u8]) -> Result<(), IntakeError> {
        while !bytes.is_empty() {
            let index = self.check.index();
            let length = self.list.block_len(index).ok_or(IntakeError::Excess)?;
            let (piece, rest) = bytes.split_at(bytes.len().min(length.saturating_sub(self.check.bytes())));
            self.check.update(piece);
            self.bytes += u64::try_from(piece.len()).map_err(io::Error::other)?;
            if self.check.bytes() == length {
                if self.list.finish(&self.check).is_err() {
                    self.check = self.list.check(index);
                    self.bytes = block_start(index);
                    return Err(IntakeError::Damaged(index));
                }
                self.check = self.list.check(index + 1);
            }
            bytes = rest;
        }
        Ok(())
    }

    fn cut_at(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.file.seek(SeekFrom::Start(bytes)).map(drop)
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

    fn length(bytes: &[u8]) -> u64 {
        u64::try_from(bytes.len()).unwrap()
    }

    #[test]
    fn a_broken_transfer_goes_on_at_the_byte_where_it_broke() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let cuts = [0, 1, 5000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 7, 2 * BLOCK_BYTES, bytes.len()];
        for cut in cuts.windows(2) {
            let mut intake = Intake::open(&path, list.clone(), Intake::bytes_at(&path)).unwrap();
            assert_eq!(intake.bytes(), length(&bytes[..cut[0]]));
            bytes[cut[0]..cut[1]].chunks(3000).for_each(|piece| intake.take(piece).unwrap());
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(Intake::open(&path, list, length(&bytes)).unwrap().bytes(), length(&bytes));
    }

    #[test]
    fn what_is_damaged_on_the_disk_is_cut_off_when_the_transfer_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (mut bytes, list) = copy();
        bytes[BLOCK_BYTES + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let intake = Intake::open(&path, list, length(&bytes)).unwrap();
        assert_eq!(intake.bytes(), block_start(1));
        assert_eq!(Intake::bytes_at(&path), block_start(1));
    }

    #[test]
    fn a_damaged_beginning_of_a_block_is_found_when_the_block_is_whole() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let mut damaged = bytes[..BLOCK_BYTES + 50].to_vec();
        damaged[BLOCK_BYTES + 5] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let mut intake = Intake::open(&path, list.clone(), length(&damaged)).unwrap();
        assert_eq!(intake.bytes(), length(&damaged));
        let outcome = intake.take(&bytes[BLOCK_BYTES + 50..]);
        assert!(matches!(outcome, Err(IntakeError::Damaged(1))));
        drop(intake);
        let mut intake = Intake::open(&path, list, Intake::bytes_at(&path)).unwrap();
        assert_eq!(intake.bytes(), block_start(1));
        intake.take(&bytes[BLOCK_BYTES..]).unwrap();
    }

    #[test]
    fn a_damaged_block_is_refused_by_its_index_and_not_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (mut bytes, list) = copy();
        bytes[BLOCK_BYTES] ^= 1;
        let mut intake = Intake::open(&path, list, 0).unwrap();
        // All in one piece: the block before it counts.
        assert!(matches!(intake.take(&bytes), Err(IntakeError::Damaged(1))));
        assert_eq!((intake.bytes(), Intake::bytes_at(&path)), (block_start(1), block_start(1)));
    }

    #[test]
    fn more_than_the_copy_has_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let mut intake = Intake::open(&path, list, 0).unwrap();
        intake.take(&bytes).unwrap();
        assert!(matches!(intake.take(&[1]), Err(IntakeError::Excess)));
        assert_eq!(Intake::bytes_at(&path), length(&bytes));
    }

    #[test]
    fn a_file_that_was_put_in_place_is_not_written_to_again() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("partial");
        let (bytes, list) = copy();
        let mut first = Intake::open(&path, list.clone(), 0).unwrap();
        let (second, list) = (path.clone(), list);
        let waiting = std::thread::spawn(move || Intake::open(&second, list, 0).map(drop));
        first.take(&bytes).unwrap();
        std::fs::rename(&path, temp.path().join("whole")).unwrap();
        drop(first);
        // Whether it came before or after, the whole file stays as it is.
        drop(waiting.join().unwrap());
        assert_eq!(std::fs::read(temp.path().join("whole")).unwrap(), bytes);
    }
}
