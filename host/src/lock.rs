//! Who holds a lock file, found without touching the lock.
//!
//! The daemon writes its process ID into the file; the kernel tells who holds what (proc_locks(5)). Both must agree, so that neither a
//! number that another process has got since, nor another file's lock, is taken for it.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// The name of the file that a daemon locks in its directory.
pub const LOCK_NAME: &str = "lock";

/// A lock file holds a number.
const FILE_BYTES_MAX: usize = 64;

/// The process that holds the lock of the daemon's directory `dir` at the moment, if the kernel tells.
#[must_use]
pub fn daemon_of(dir: &Path) -> Option<u32> {
    holder(&dir.join(LOCK_NAME))
}

/// The process that holds the lock file at `path` at the moment, if the kernel tells.
#[must_use]
pub fn holder(path: &Path) -> Option<u32> {
    let known = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    if known.len() > u64::try_from(FILE_BYTES_MAX).ok()? {
        return None;
    }
    let pid = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().any(|line| is_held(line, pid, known.ino())).then_some(pid)
}

/// Whether a line such as `1: FLOCK  ADVISORY  WRITE 708 08:01:131081 0 EOF` is this process's lock on the file with this inode. The
/// device is left out: some file systems show another one in stat(2).
fn is_held(line: &str, pid: u32, inode: u64) -> bool {
    let mut words = line.split_whitespace().skip(1);
    words.next() == Some("FLOCK")
        && words.nth(1) == Some("WRITE")
        && words.next().and_then(|word| word.parse().ok()) == Some(pid)
        && words.next().and_then(|word| word.rsplit(':').next()?.parse().ok()) == Some(inode)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::*;

    #[test]
    fn the_holder_is_known_as_long_as_it_holds_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        assert_eq!(holder(&path), None);
        let mut file = File::create(&path).unwrap();
        writeln!(file, "{}", std::process::id()).unwrap();
        assert_eq!(holder(&path), None, "it is not locked");
        file.lock().unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        fs::write(&path, "1\n").unwrap();
        assert_eq!(holder(&path), None, "another process is named");
        file.unlock().unwrap();
        assert_eq!(holder(&path), None);
        assert_eq!(holder(temp.path()), None);
    }

    #[test]
    fn only_that_lock_of_that_process_counts() {
        let line = "1: FLOCK  ADVISORY  WRITE 708 08:01:131081 0 EOF";
        assert!(is_held(line, 708, 131_081));
        assert!(!is_held(line, 709, 131_081) && !is_held(line, 708, 131_082));
        assert!(!is_held("1: POSIX  ADVISORY  WRITE 708 08:01:131081 0 EOF", 708, 131_081));
        assert!(!is_held("1: FLOCK  ADVISORY  READ 708 08:01:131081 0 EOF", 708, 131_081));
        assert!(!is_held("1: -> FLOCK  ADVISORY  WRITE 708 08:01:131081 0 EOF", 708, 131_081));
        assert!(!is_held("", 708, 131_081));
    }
}
