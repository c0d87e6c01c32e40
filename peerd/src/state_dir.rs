//! The state directory: its layout, its permissions, its lock.
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
    io,
    path::{Path, PathBuf},
};

use dos_daemon::dir::{self, Lock, LockError};

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
    _lock: Lock,
}

impl StateDir {
    /// Makes whatever is missing and locks the directory.
    ///
    /// # Errors
    /// As in [`StateDirError`].
    pub(crate) fn open(root: &Path) -> Result<Self, StateDirError> {
        make_private(root)?;
        let lock = Lock::take(root).map_err(|error| match error {
            LockError::InUse => StateDirError::InUse(root.to_owned()),
            LockError::Failed(error) => StateDirError::Lock(root.to_owned(), error),
        })?;
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

/// Makes a directory private.
///
/// # Errors
/// [`StateDirError::Directory`].
fn make_private(path: &Path) -> Result<(), StateDirError> {
    dir::make_private(path).map_err(|error| StateDirError::Directory(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

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
}
