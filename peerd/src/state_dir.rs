//! The state directory: its layout, its permissions, its lock, and files that are replaced whole or not at all.
//!
//! ```text
//! identity.toml   the key and the ID, 0600
//! peerd.db        everything else that must last, 0600
//! lock            held while a daemon uses the directory
//! sealed/         sealed copies, named by their hash
//! partial/        sealed copies that are still arriving
//! tmp/            what is being sealed; emptied at every start
//! ```
//!
//! What always holds: every directory is 0700, and at most one daemon has a [`StateDir`] of a path.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// A directory cannot be made or its permissions cannot be set.
    #[error("cannot prepare the directory {path}", path = .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The lock file cannot be made.
    #[error("cannot lock the state directory {path}", path = .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// Another daemon uses it.
    #[error("another peerd uses the state directory {path}", path = .0.display())]
    InUse(PathBuf),
}

/// A state directory, locked as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes whatever is missing and locks the directory.
    ///
    /// # Errors
    /// As in [`StateDirError`].
    pub(crate) fn open(root: &Path) -> Result<Self, StateDirError> {
        make_private(root)?;
        let path = root.join("lock");
        let lock_error = |error| StateDirError::Lock(root.to_owned(), error);
        let lock =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(lock_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateDirError::InUse(root.to_owned())),
            Err(TryLockError::Error(error)) => return Err(lock_error(error)),
        }
        let dir = Self { root: root.to_owned(), _lock: lock };
        for sub in [dir.sealed(), dir.partial(), dir.tmp()] {
            make_private(&sub)?;
        }
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The identity file.
    #[must_use]
    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("identity.toml")
    }

    /// The database.
    #[must_use]
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("peerd.db")
    }

    /// Where sealed copies are.
    #[must_use]
    pub(crate) fn sealed(&self) -> PathBuf {
        self.root.join("sealed")
    }

    /// Where sealed copies arrive.
    #[must_use]
    pub(crate) fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Where images are sealed.
    #[must_use]
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

/// Makes a directory and its parents, readable to its owner alone; the permissions of the last one are enforced.
///
/// # Errors
/// [`StateDirError::Directory`].
pub(crate) fn make_private(path: &Path) -> Result<(), StateDirError> {
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        if fs::metadata(path)?.permissions().mode() & 0o777 != 0o700 {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
        }
        Ok(())
    };
    make().map_err(|error| StateDirError::Directory(path.to_owned(), error))
}

/// Puts a file in place, readable to its owner alone, so that after a crash there is the old one or the new one.
///
/// # Errors
/// What the file system says.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    // A leftover of a crash may have any permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes what was renamed or removed in a directory last.
///
/// # Errors
/// What the file system says.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_are_private_even_if_they_were_not() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/b");
        fs::create_dir_all(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        let dir = StateDir::open(&root).unwrap();
        for path in [root.as_path(), &dir.sealed(), &dir.partial(), &dir.tmp()] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
    }

    #[test]
    fn two_daemons_never_share_a_state_directory() {
        let temp = tempfile::tempdir().unwrap();
        let first = StateDir::open(temp.path()).unwrap();
        assert!(matches!(StateDir::open(temp.path()), Err(StateDirError::InUse(_))));
        drop(first);
        assert!(StateDir::open(temp.path()).is_ok());
    }

    #[test]
    fn a_replaced_file_is_private_and_whole_whatever_a_crash_left() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("identity.toml");
        fs::write(path.with_extension("new"), "half").unwrap();
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o600);
        assert!(!path.with_extension("new").exists());
    }
}
