//! The data directory: private to the server's user, used by one server at a time, with the server's key in it.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use dos_protocol::key::{SecretError, SecretKey};

/// The name of the database in the data directory.
pub(crate) const DATABASE_NAME: &str = "dosd.db";

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or opened.
    #[error("cannot use the data directory {path}", path = .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// Another server uses it.
    #[error("another dosd uses the data directory {path}", path = .0.display())]
    InUse(PathBuf),
    /// Others than its owner may read it.
    #[error("the key file {path} is readable to others; make it 0600", path = .0.display())]
    Exposed(PathBuf),
    /// The key cannot be read or written.
    #[error("cannot use the key file {path}", path = .0.display())]
    KeyFile(PathBuf, #[source] io::Error),
    /// The key file has no key in it.
    #[error("the key file {path} is damaged", path = .0.display())]
    Key(PathBuf, #[source] SecretError),
    /// No key can be made.
    #[error("cannot make a key")]
    Random(#[source] SecretError),
}

/// The directory, locked as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl Drop for DataDir {
    /// Unlocks at once: closing the file alone would not, while a program that is just being started holds a copy of it.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(path = %self.path.display(), %error, "cannot unlock the data directory");
        }
    }
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// As in [`DataDirError`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |error| DataDirError::Directory(path.to_owned(), error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Keeps servers out of a directory without making or changing anything in it, as long as the result lives; `None`
    /// if no server was ever started on it.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] or [`DataDirError::Directory`].
    pub(crate) fn hold(path: &Path) -> Result<Option<File>, DataDirError> {
        let failed = |error| DataDirError::Directory(path.to_owned(), error);
        let lock = match File::open(path.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// A file in it.
    #[must_use]
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the server's key is in it.
    #[must_use]
    pub(crate) fn has_key(&self) -> bool {
        self.join("server.key").exists()
    }

    /// The server's key; made, durably, when there is none.
    ///
    /// # Errors
    /// As in [`DataDirError`].
    pub(crate) fn server_key(&self) -> Result<SecretKey, DataDirError> {
        let path = self.join("server.key");
        let failed = |error| DataDirError::KeyFile(path.clone(), error);
        match File::open(&path) {
            Ok(mut file) => {
                if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                    return Err(DataDirError::Exposed(path));
                }
                let mut text = zeroize::Zeroizing::new(String::new());
                (&mut file).take(1024).read_to_string(&mut text).map_err(failed)?;
                text.trim().parse().map_err(|error| DataDirError::Key(path, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = SecretKey::generate().map_err(DataDirError::Random)?;
                self.write_key(&path, &key).map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Under another name first, so that there is never half a key.
    fn write_key(&self, path: &Path, key: &SecretKey) -> io::Result<()> {
        let new = self.join("server.key.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(key.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_survives_and_is_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let first = DataDir::open(&path).unwrap().server_key().unwrap();
        let again = DataDir::open(&path).unwrap().server_key().unwrap();
        assert_eq!(first.public().unwrap(), again.public().unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("server.key"))), (0o700, 0o600));
    }

    #[test]
    fn two_servers_cannot_share_it() {
        let temp = tempfile::tempdir().unwrap();
        let _first = DataDir::open(temp.path()).unwrap();
        assert!(matches!(DataDir::open(temp.path()), Err(DataDirError::InUse(_))));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        drop(dir.server_key().unwrap());
        std::fs::set_permissions(dir.join("server.key"), PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(dir.server_key(), Err(DataDirError::Exposed(_))));
    }
}
