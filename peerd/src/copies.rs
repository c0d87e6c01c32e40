//! Sealed files on the disk: where they are, which are in use, and which may go.
//!
//! What always holds: a file under its hash in `sealed/` was whole and synced before it got that name. Nothing here
//! knows rights: what may go is said by the store.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use dos_protocol::{Code, SealedHash, WireError};
use dos_sealed::hash_file;
use tokio::task::spawn_blocking;

use crate::state_dir::StateDir;

/// The sealed files of a state directory.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    sealed: PathBuf,
    partial: PathBuf,
    tmp: PathBuf,
    pins: Arc<Mutex<HashMap<SealedHash, usize>>>,
}

/// Keeps a copy from being evicted as long as it lives.
#[derive(Debug)]
pub(crate) struct Pin {
    hash: SealedHash,
    pins: Arc<Mutex<HashMap<SealedHash, usize>>>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pins.get_mut(&self.hash) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                pins.remove(&self.hash);
            }
        }
    }
}

/// A failure of the file system, for people.
#[must_use]
pub(crate) fn disk_error(what: &str, error: &io::Error) -> WireError {
    tracing::error!(error = error as &dyn std::error::Error, "{what}");
    WireError::new(Code::Internal, what).caused_by(error.to_string())
}

/// The result of a blocking task that may have been cut off by the program's end.
///
/// # Errors
/// [`Code::Internal`] if the task did not finish.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WireError> {
    spawn_blocking(work).await.map_err(|_| WireError::new(Code::Internal, "the work was cut off"))
}

impl Copies {
    /// Those of `dir`.
    #[must_use]
    pub(crate) fn new(dir: &StateDir) -> Self {
        Self { sealed: dir.sealed(), partial: dir.partial(), tmp: dir.tmp(), pins: Arc::default() }
    }

    /// The file of a whole copy.
    #[must_use]
    pub(crate) fn path(&self, hash: &SealedHash) -> PathBuf {
        self.sealed.join(hash.to_string())
    }

    /// The file of a copy that is arriving.
    #[must_use]
    pub(crate) fn partial_path(&self, hash: &SealedHash) -> PathBuf {
        self.partial.join(hash.to_string())
    }

    /// A name for a file that is being sealed.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn temporary(&self) -> Result<PathBuf, WireError> {
        let name = u128::from_be_bytes(crate::random::bytes()?);
        Ok(self.tmp.join(format!("{name:032x}")))
    }

    /// Makes a whole file the copy with this hash, for good. Blocks on the disk.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn put_in_place(&self, file: &File, from: &Path, hash: &SealedHash) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(from, self.path(hash))?;
        dos_host::dir::sync(&self.sealed)
    }

    /// Keeps a copy from being evicted.
    #[must_use]
    pub(crate) fn pin(&self, hash: SealedHash) -> Pin {
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default() += 1;
        Pin { hash, pins: Arc::clone(&self.pins) }
    }

    /// Whether somebody uses the copy.
    #[must_use]
    pub(crate) fn is_pinned(&self, hash: &SealedHash) -> bool {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }

    /// Whether the file is what its name says.
    ///
    /// # Errors
    /// [`Code::Internal`] while the program stops.
    pub(crate) async fn is_sound(&self, hash: SealedHash) -> Result<bool, WireError> {
        let path = self.path(&hash);
        blocking(move || match File::open(path).map(hash_file) {
            Ok(Ok((found, _))) => found == *hash.as_bytes(),
            Ok(Err(_)) | Err(_) => false,
        })
        .await
    }

    /// Deletes files that nothing needs. What cannot be deleted now goes at the next start.
    pub(crate) async fn remove(&self, hashes: Vec<SealedHash>) {
        if hashes.is_empty() {
            return;
        }
        let copies = self.clone();
        let work = move || {
            for hash in hashes {
                for path in [copies.path(&hash), copies.partial_path(&hash)] {
                    match fs::remove_file(&path) {
                        Ok(()) => tracing::debug!(copy = %hash, "deleted a sealed copy"),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => {
                            tracing::warn!(error = &error as &dyn std::error::Error, copy = %hash, "cannot delete a sealed copy");
                        }
                    }
                }
            }
        };
        drop(blocking(work).await);
    }

    /// At the start: deletes what a crash has left. `whole` are the copies that must be there, `arriving` those that may
    /// still come. Returns those of `whole` whose files are missing. Blocks on the disk.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn sweep(
        &self,
        whole: &HashSet<SealedHash>,
        arriving: &HashSet<SealedHash>,
    ) -> io::Result<Vec<SealedHash>> {
        let keep = |dir: &Path, needed: &dyn Fn(SealedHash) -> bool| -> io::Result<HashSet<SealedHash>> {
            let mut kept = HashSet::new();
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let hash = entry.file_name().to_str().and_then(|name| name.parse::<SealedHash>().ok());
                match hash {
                    Some(hash) if needed(hash) => {
                        kept.insert(hash);
                    }
                    _ if entry.file_type()?.is_dir() => {}
                    _ => fs::remove_file(entry.path())?,
                }
            }
            Ok(kept)
        };
        let present = keep(&self.sealed, &|hash| whole.contains(&hash))?;
        keep(&self.partial, &|hash| arriving.contains(&hash) && !whole.contains(&hash))?;
        keep(&self.tmp, &|_| false)?;
        Ok(whole.difference(&present).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_keeps_what_is_needed_and_tells_what_is_missing() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open(temp.path()).unwrap();
        let copies = Copies::new(&dir);
        let hash = |byte: u8| SealedHash::from([byte; 32]);
        for path in [copies.path(&hash(1)), copies.path(&hash(2)), copies.partial_path(&hash(3))] {
            fs::write(path, "x").unwrap();
        }
        fs::write(copies.partial_path(&hash(4)), "x").unwrap();
        fs::write(copies.temporary().unwrap(), "x").unwrap();
        fs::write(dir.sealed().join("stray"), "x").unwrap();
        let missing = copies.sweep(&[hash(1), hash(9)].into(), &[hash(3)].into()).unwrap();
        assert_eq!(missing, [hash(9)]);
        assert!(copies.path(&hash(1)).exists() && copies.partial_path(&hash(3)).exists());
        assert!(!copies.path(&hash(2)).exists() && !copies.partial_path(&hash(4)).exists());
        assert_eq!(fs::read_dir(dir.tmp()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.sealed()).unwrap().count(), 1);
    }

    #[test]
    fn a_copy_is_pinned_as_long_as_anybody_uses_it() {
        let temp = tempfile::tempdir().unwrap();
        let copies = Copies::new(&StateDir::open(temp.path()).unwrap());
        let hash = SealedHash::from([1; 32]);
        let (first, second) = (copies.pin(hash), copies.pin(hash));
        drop(first);
        assert!(copies.is_pinned(&hash));
        drop(second);
        assert!(!copies.is_pinned(&hash));
    }
}
