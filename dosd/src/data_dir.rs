//! The data directory: private to the server's user, used by one server at a time, with the server's key in it.

use std::{
    io,
    path::{Path, PathBuf},
};

use dos_daemon::dir::{self, Lock, LockError, Secret};
use dos_protocol::{
    PublicKey,
    key::{SecretError, SecretKey},
};
use zeroize::Zeroizing;

/// The file with the server's key.
const KEY_NAME: &str = "server.key";

/// A key file is less than a hundred bytes.
const KEY_FILE_BYTES_MAX: u64 = 1024;

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
    /// The key is gone, and the database has peers that know it.
    #[error(
        "there is no key file {path}, and the database beside it has {peers} that know the directory by its key: put the \
         server.key back that was kept beside the backups; a new key would be another directory to all of them",
        path = .0.display(),
        peers = count_of(*.1)
    )]
    KeyLost(PathBuf, u64),
    /// The key is another one than the one that the peers in the database know.
    #[error(
        "{path} is not the key that the {peers} in the database beside it know the directory by: put the server.key back that \
         belongs to this database, or the database that belongs to this key",
        path = .0.display(),
        peers = count_of(*.1)
    )]
    KeyAlien(PathBuf, u64),
    /// No key can be made.
    #[error("cannot make a key")]
    Random(#[source] SecretError),
}

/// The directory, locked as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: Lock,
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it.
    ///
    /// # Errors
    /// As in [`DataDirError`].
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        dir::create_private(path).map_err(|error| DataDirError::Directory(path.to_owned(), error))?;
        let lock = Lock::take(path).map_err(|error| locked(path, error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Keeps servers out of a directory without making or changing anything in it, as long as the result lives; `None`
    /// if no server was ever started on it.
    ///
    /// # Errors
    /// [`DataDirError::InUse`] or [`DataDirError::Directory`].
    pub(crate) fn hold(path: &Path) -> Result<Option<Lock>, DataDirError> {
        Lock::hold(path).map_err(|error| locked(path, error))
    }

    /// A file in it.
    #[must_use]
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the server's key is in it.
    #[must_use]
    pub(crate) fn has_key(&self) -> bool {
        self.join(KEY_NAME).exists()
    }

    /// The server's key; made, durably, when there is none. `check` says why the key that there is, or a new one, must not be
    /// used.
    ///
    /// # Errors
    /// As in [`DataDirError`].
    pub(crate) fn server_key(
        &self,
        check: impl FnOnce(Option<&PublicKey>, PathBuf) -> Result<(), DataDirError>,
    ) -> Result<SecretKey, DataDirError> {
        let path = self.join(KEY_NAME);
        let mut text = Zeroizing::new(String::new());
        match dir::read_private(&path, KEY_FILE_BYTES_MAX, &mut text) {
            Ok(Secret::Read) => {
                let key: SecretKey =
                    text.trim().parse().map_err(|error| DataDirError::Key(path.clone(), error))?;
                let public = key.public().map_err(|error| DataDirError::Key(path, error))?;
                check(Some(&public), self.join(KEY_NAME))?;
                Ok(key)
            }
            Ok(Secret::Exposed) => Err(DataDirError::Exposed(path)),
            Ok(Secret::Missing) => {
                check(None, path.clone())?;
                let key = SecretKey::generate().map_err(DataDirError::Random)?;
                // Not grown, which would leave a copy behind.
                text.reserve(100);
                text.push_str(&key.to_text());
                text.push('\n');
                dir::replace_file(&path, text.as_bytes())
                    .map_err(|error| DataDirError::KeyFile(path, error))?;
                Ok(key)
            }
            Err(error) => Err(DataDirError::KeyFile(path, error)),
        }
    }
}

fn count_of(peers: u64) -> String {
    if peers == 1 { "one peer".into() } else { format!("{peers} peers") }
}

fn locked(path: &Path, error: LockError) -> DataDirError {
    match error {
        LockError::InUse => DataDirError::InUse(path.to_owned()),
        LockError::Failed(error) => DataDirError::Directory(path.to_owned(), error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_survives_and_is_private() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let first = DataDir::open(&path).unwrap().server_key(|_, _| Ok(())).unwrap();
        let again = DataDir::open(&path).unwrap().server_key(|_, _| Ok(())).unwrap();
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
        drop(dir.server_key(|_, _| Ok(())).unwrap());
        std::fs::set_permissions(dir.join("server.key"), PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(dir.server_key(|_, _| Ok(())), Err(DataDirError::Exposed(_))));
    }
}
