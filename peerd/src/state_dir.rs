//! The state directory: its layout, its permissions, its lock.
//!
//! ```text
//! identity.toml   the key and the ID, 0600
//! peerd.db        everything else that must last, 0600
//! lock            held while a daemon uses the directory
//! sealed/         sealed copies, named by their hash
//! partial/        sealed copies that are still arriving
//! tmp/            what is being sealed; emptied at every start
//! leaving         the ID of a peer that has left its directory, until all of its files are below `left`
//! left/           what was kept of peers that have left: each a state directory of its own
//! ```
//!
//! What always holds: every directory is 0700, and at most one daemon has a [`StateDir`] of a path. What a peer that has left kept
//! here is put aside as a whole, before anything of it is opened: a crash on the way is made good at the next start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dos_daemon::dir::{self, Lock, LockError, Secret, read_private, replace_file};
use dos_host::dir::sync_parent;
use dos_protocol::PeerId;

/// Says which peer has left.
const LEAVING: &str = "leaving";

/// An ID has 8 characters.
const LEAVING_BYTES_MAX: u64 = 64;

/// What belongs to one peer. The identity comes first: without it, no one signs in with what is left half moved.
const OF_A_PEER: [&str; 6] =
    ["identity.toml", "peerd.db", "peerd.db-wal", "peerd.db-shm", "sealed", "partial"];

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// A directory cannot be made or its permissions cannot be set.
    #[error("cannot prepare the directory {path}", path = .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// The lock file cannot be made.
    #[error("cannot lock the state directory {path}", path = .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// What is to be put aside cannot be.
    #[error("cannot put aside what was kept of a peer that has left, in {path}", path = .0.display())]
    PutAside(PathBuf, #[source] io::Error),
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
        dir.put_aside().map_err(|error| StateDirError::PutAside(root.to_owned(), error))?;
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

    /// Where what a peer that has left kept here is put. Of one that has left before there may be something already.
    fn aside(&self, id: PeerId) -> PathBuf {
        self.root.join("left").join(id.to_string())
    }

    /// Notes durably that this peer has left: when the directory is opened the next time, everything of it is put aside. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn leave(&self, id: PeerId) -> io::Result<PathBuf> {
        replace_file(&self.root.join(LEAVING), id.to_string().as_bytes())?;
        Ok(self.aside(id))
    }

    /// Puts aside what a peer that has left kept here. What a crash has left in its place goes the same way.
    fn put_aside(&self) -> io::Result<()> {
        let marker = self.root.join(LEAVING);
        let mut text = String::new();
        let id: PeerId = match read_private(&marker, LEAVING_BYTES_MAX, &mut text)? {
            Secret::Missing => return Ok(()),
            Secret::Exposed => return Err(io::Error::other("others can write to the file leaving")),
            Secret::Read => text.trim().parse().map_err(io::Error::other)?,
        };
        let aside = self.aside(id);
        dir::make_private(&self.root.join("left"))?;
        dir::make_private(&aside)?;
        for name in OF_A_PEER {
            let (from, to) = (self.root.join(name), aside.join(name));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved.and_then(|()| sync_parent(&to)).and_then(|()| sync_parent(&from))?,
            }
        }
        fs::remove_file(&marker)?;
        sync_parent(&marker)?;
        tracing::info!(peer = %id, kept = %aside.display(), "a peer has left its directory: what was here is put aside");
        Ok(())
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
    fn what_a_peer_that_has_left_kept_is_put_aside_as_a_whole_wherever_a_crash_came_between() {
        for moved in 0..=OF_A_PEER.len() {
            let temp = tempfile::tempdir().unwrap();
            let id: PeerId = "7xKqPm2R".parse().unwrap();
            let dir = StateDir::open(temp.path()).unwrap();
            for name in OF_A_PEER.iter().filter(|name| name.contains('.')) {
                fs::write(temp.path().join(name), name).unwrap();
            }
            fs::write(dir.sealed().join("copy"), "sealed").unwrap();
            let aside = dir.leave(id).unwrap();
            drop(dir);
            fs::create_dir_all(&aside).unwrap();
            for name in &OF_A_PEER[..moved] {
                fs::rename(temp.path().join(name), aside.join(name)).unwrap();
            }
            for _ in 0..2 {
                let dir = StateDir::open(temp.path()).unwrap();
                assert!(!dir.identity().exists() && !dir.database().exists());
                assert_eq!(fs::read_dir(dir.sealed()).unwrap().count(), 0);
            }
            assert_eq!(fs::read_to_string(aside.join("peerd.db-wal")).unwrap(), "peerd.db-wal");
            assert_eq!(fs::read_to_string(aside.join("sealed/copy")).unwrap(), "sealed");
            assert_eq!(mode(&aside), 0o700);
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
