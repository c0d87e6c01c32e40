//! A disk that can lose power: a file of a file system in this process (FUSE), which the kernel uses as a block device.
//!
//! As a real disk it has a cache: what was written lies there until a flush, and then is on the medium. When the power is cut, the
//! medium has whatever was flushed, and of what was not any part: none of it, all of it, or some of the blocks in any order. A
//! copy of an image file could only ever show all of it. The medium is copied in one moment, under a lock, while the writers go
//! on: so also in the middle of a flush.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use dos_testing::wait_until;
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, Session, TimeOrNow, WriteFlags,
};

use crate::history::Dice;

/// What a disk writes whole.
const BLOCK: usize = 4096;

/// Bytes of the disk; what was never written takes no memory.
const SIZE: u64 = 256 << 20;

/// The only file.
const IMAGE: &str = "disk.img";
const IMAGE_INODE: INodeNo = INodeNo(2);

type Block = Box<[u8]>;

#[derive(Debug, Default, Clone)]
struct State {
    medium: HashMap<u64, Block>,
    /// Written and not flushed.
    cache: HashMap<u64, Block>,
    flushes: u64,
}

impl State {
    fn block(&self, number: u64) -> Option<&Block> {
        self.cache.get(&number).or_else(|| self.medium.get(&number))
    }

    /// What lies in each of the blocks from `offset` on, as (number, from, length).
    fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
        let mut at = offset;
        let end = offset + u64::try_from(len).unwrap();
        std::iter::from_fn(move || {
            let block = u64::try_from(BLOCK).unwrap();
            let from = usize::try_from(at % block).unwrap();
            let piece = (BLOCK - from).min(usize::try_from(end - at).unwrap());
            let number = at / block;
            at += u64::try_from(piece).unwrap();
            (piece > 0).then_some((number, from, piece))
        })
    }

    fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for (number, from, piece) in Self::pieces(offset, len) {
            match self.block(number) {
                Some(block) => bytes.extend_from_slice(&block[from..from + piece]),
                None => bytes.resize(bytes.len() + piece, 0),
            }
        }
        bytes
    }

    fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        for (number, from, piece) in Self::pieces(offset, bytes.len()) {
            let mut block = self.block(number).cloned().unwrap_or_else(|| vec![0; BLOCK].into());
            let (now, later) = bytes.split_at(piece);
            block[from..from + piece].copy_from_slice(now);
            self.cache.insert(number, block);
            bytes = later;
        }
    }

    fn flush(&mut self) {
        self.flushes += 1;
        self.medium.extend(self.cache.drain());
    }

    /// What is on the medium when the power is gone.
    fn cut(&self, dice: &mut Dice) -> Self {
        let mut medium = self.medium.clone();
        let fate = dice.below(4);
        let mut numbers: Vec<_> = self.cache.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let survives = match fate {
                0 => false,
                1 => true,
                _ => dice.below(2) == 0,
            };
            if survives {
                medium.insert(number, self.cache[&number].clone());
            }
        }
        Self { medium, ..Self::default() }
    }
}

/// The disk's file system.
struct Files(Arc<Mutex<State>>);

impl Files {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(inode: INodeNo) -> FileAttr {
        let is_image = inode == IMAGE_INODE;
        FileAttr {
            ino: inode,
            size: if is_image { SIZE } else { 0 },
            blocks: if is_image { SIZE / 512 } else { 0 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_image { FileType::RegularFile } else { FileType::Directory },
            perm: if is_image { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

/// How long the kernel believes what does not change.
const FOR_EVER: Duration = Duration::from_secs(3600);

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == IMAGE {
            reply.entry(&FOR_EVER, &Self::attributes(IMAGE_INODE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &Self::attributes(inode));
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // Its size is the disk's, whatever is wanted.
        reply.attr(&FOR_EVER, &Self::attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let len = u64::from(size).min(SIZE.saturating_sub(offset));
        reply.data(&self.state().read(offset, usize::try_from(len).unwrap()));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.state().write(offset, bytes);
        reply.written(u32::try_from(bytes.len()).unwrap());
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Of a file handle, not of the disk.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.state().flush();
        reply.ok();
    }
}

/// A disk with an ext4 that is mounted.
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
    /// Where the disk's image is, and where what is on it.
    folders: [PathBuf; 2],
}

impl Disk {
    /// A new disk below `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let folders = [folder.join("disk"), folder.join("data")];
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        let mut disk = Self { state: Arc::default(), session: None, folders };
        disk.plug_in();
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-E", "nodiscard,lazy_itable_init=0", &disk.image()]);
        disk.mount();
        disk
    }

    fn image(&self) -> String {
        self.folders[0].join(IMAGE).to_str().unwrap().to_owned()
    }

    /// Where its files are.
    pub(crate) fn data(&self) -> &Path {
        &self.folders[1]
    }

    fn plug_in(&mut self) {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("dos-disk".into()), MountOption::RW];
        let files = Files(Arc::clone(&self.state));
        let session = Session::new(files, &self.folders[0], &config).and_then(Session::spawn);
        self.session = Some(session.unwrap());
    }

    fn mount(&self) {
        // Nothing is written that nobody synced: no flush before a rename, and none of the file system's own for ten minutes.
        let options = "loop,noauto_da_alloc,commit=600,nodiscard";
        run("mount", &["-t", "ext4", "-o", options, &self.image(), self.folders[1].to_str().unwrap()]);
    }

    /// Everything that is there now stays: what a test has made itself.
    pub(crate) fn sync(&self) {
        run("sync", &["-f", self.folders[1].to_str().unwrap()]);
    }

    /// The power is cut: what is on the medium in this moment.
    pub(crate) fn cut(&self, dice: &mut Dice) -> Medium {
        Medium(self.state.lock().unwrap_or_else(PoisonError::into_inner).cut(dice))
    }

    /// How often it was flushed since the power came back.
    pub(crate) fn flushes(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).flushes
    }

    /// The power is back, with this medium. No process uses the disk.
    pub(crate) fn power_on(&mut self, medium: Medium) {
        self.unplug();
        self.state = Arc::new(Mutex::new(medium.0));
        self.plug_in();
        self.mount();
    }

    fn unplug(&mut self) {
        let data = self.folders[1].to_str().unwrap();
        wait_until("the disk is not used", || succeeds("umount", &[data]));
        if let Some(session) = self.session.take() {
            session.umount_and_join().unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that fails may have left processes on it; they end with their handles.
        if let Some(data) = self.folders[1].to_str() {
            succeeds("umount", &["--lazy", data]);
        }
    }
}

/// What is on a disk without power.
pub(crate) struct Medium(State);

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    command
}

fn run(program: &str, args: &[&str]) {
    let output = command(program, args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let silent = command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_flushed_survives_and_of_the_rest_anything_may() {
        let mut state = State::default();
        state.write(4090, b"across two blocks");
        state.flush();
        state.write(4090, b"ACROSS TWO BLOCKS");
        assert_eq!(state.read(4090, 17), b"ACROSS TWO BLOCKS");
        let mut dice = Dice(1);
        let mut seen: Vec<Vec<u8>> = (0..200).map(|_| state.cut(&mut dice).read(4090, 17)).collect();
        seen.sort();
        seen.dedup();
        let every: [&[u8]; 4] =
            [b"ACROSS TWO BLOCKS", b"ACROSS two blocks", b"across TWO BLOCKS", b"across two blocks"];
        assert_eq!(seen, every.map(|one| one.to_vec()));
    }
}
