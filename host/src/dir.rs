//! Making the entries of a directory durable: what was made, renamed or removed in it.
//!
//! What always holds: a file system that cannot sync directories makes nothing fail that has succeeded; a disk that fails does.

use std::{fs::File, io, path::Path};

use rustix::io::Errno;

/// What became of a directory's entries.
#[derive(Debug)]
#[must_use]
pub enum Entries {
    /// They are on the disk.
    Durable,
    /// The file system cannot tell: it does not sync directories, or this one cannot be opened. Whoever reports success mentions it.
    Unknown(io::Error),
}

/// Makes the entries of a directory durable, and logs a warning where that is not possible.
///
/// # Errors
/// If the disk fails.
pub fn sync(path: &Path) -> io::Result<()> {
    if let Entries::Unknown(error) = try_sync(path)? {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            directory = %path.display(),
            "the file system cannot sync this directory: after a power cut the newest file in it may be missing"
        );
    }
    Ok(())
}

/// Makes the entries of the directory in which `path` is durable, as [`sync`] does.
///
/// # Errors
/// If the disk fails.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync(parent_of(path))
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// If the disk fails.
pub fn try_sync(path: &Path) -> io::Result<Entries> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        Ok(()) => Ok(Entries::Durable),
        Err(error) if is_about_the_file_system(&error) => Ok(Entries::Unknown(error)),
        Err(error) => Err(error),
    }
}

/// The directory in which `path` is.
#[must_use]
pub fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether an error says what a file system or its permissions do not allow, and nothing of the disk: fsync(2) has EINVAL for what
/// cannot be synced and EROFS likewise, network and user-space file systems have EOPNOTSUPP, ENOSYS, EISDIR and EBADF.
fn is_about_the_file_system(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| {
        matches!(
            errno,
            Errno::INVAL
                | Errno::OPNOTSUPP
                | Errno::NOSYS
                | Errno::ROFS
                | Errno::ISDIR
                | Errno::BADF
                | Errno::ACCESS
                | Errno::PERM
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_is_no_failure_and_one_that_is_missing_is() {
        let temp = tempfile::tempdir().unwrap();
        assert!(matches!(try_sync(temp.path()), Ok(Entries::Durable)));
        // fsync(2) of a directory of procfs is EINVAL.
        assert!(matches!(try_sync(Path::new("/proc/self")), Ok(Entries::Unknown(_))));
        assert!(sync(Path::new("/proc/self")).is_ok());
        assert!(sync(&temp.path().join("missing")).is_err());
    }

    #[test]
    fn what_the_disk_says_is_an_error() {
        for (errno, expected) in [
            (Errno::INVAL, true),
            (Errno::OPNOTSUPP, true),
            (Errno::ACCESS, true),
            (Errno::IO, false),
            (Errno::NOSPC, false),
            (Errno::DQUOT, false),
            (Errno::MFILE, false),
        ] {
            let error = io::Error::from(errno);
            assert_eq!(is_about_the_file_system(&error), expected, "{error}");
        }
        assert!(!is_about_the_file_system(&io::Error::other("no number")));
    }

    #[test]
    fn a_bare_name_is_in_the_working_directory() {
        assert_eq!(parent_of(Path::new("sea.jpg")), Path::new("."));
        assert_eq!(parent_of(Path::new("/a/sea.jpg")), Path::new("/a"));
    }
}
