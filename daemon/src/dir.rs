//! A daemon's directory: private to its user, used by one process at a time, with files that are replaced whole or not at
//! all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use dos_host::{lock::LOCK_NAME, user::own};

/// Makes a directory and its parents, readable to its owner alone. What is there already keeps its permissions, and is refused if it is
/// another user's or others can write to it.
///
/// # Errors
/// What the file system says; `PermissionDenied` if it is refused.
pub fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let known = fs::metadata(path)?;
    judge(known.uid(), own())?;
    if known.mode() & 0o022 != 0 {
        return Err(refused("others can write to it: run chmod go-w on it".into()));
    }
    Ok(())
}

/// Refuses what is neither this user's nor root's: its owner could change everything in it.
fn judge(owner: u32, user: u32) -> io::Result<()> {
    if owner == user || owner == 0 {
        Ok(())
    } else {
        Err(refused(format!("it belongs to another user (uid {owner})")))
    }
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// As [`create_private`], but the permissions of the last directory are enforced.
///
/// # Errors
/// As [`create_private`].
pub fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let known = fs::metadata(path)?;
    judge(known.uid(), own())?;
    if known.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Why a directory is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has locked it.
    #[error("another process uses it")]
    InUse,
    /// The lock file cannot be used.
    #[error("cannot lock it")]
    Failed(#[source] io::Error),
}

impl From<TryLockError> for LockError {
    fn from(error: TryLockError) -> Self {
        match error {
            TryLockError::WouldBlock => Self::InUse,
            TryLockError::Error(error) => Self::Failed(error),
        }
    }
}

/// A directory that no other process uses, as long as this lives.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks a directory for a daemon.
    ///
    /// # Errors
    /// As in [`LockError`].
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).mode(0o600).open(dir.join(LOCK_NAME));
        let file = opened.map_err(LockError::Failed)?;
        file.try_lock()?;
        // Commands that do not find the daemon's socket find it by this (`dos_host::lock`).
        let named = file.set_len(0).and_then(|()| writeln!(&file, "{}", std::process::id()));
        named.map_err(LockError::Failed)?;
        Ok(Self(file))
    }

    /// Keeps daemons out of a directory without making or changing anything in it; `None` if no daemon was ever started on
    /// it. Several may hold it so.
    ///
    /// # Errors
    /// As in [`LockError`].
    pub fn hold(dir: &Path) -> Result<Option<Self>, LockError> {
        let file = match File::open(dir.join(LOCK_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(LockError::Failed)?,
        };
        file.try_lock_shared()?;
        Ok(Some(Self(file)))
    }
}

impl Drop for Lock {
    /// Unlocks at once: closing the file alone would not, while a program that is just being started holds a copy of it.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot unlock the directory");
        }
    }
}

/// What is in a file with a secret.
#[derive(Debug)]
pub enum Secret {
    /// There is no such file.
    Missing,
    /// Others than its owner may read or write it; it was not read.
    Exposed,
    /// Its text is in the buffer.
    Read,
}

/// Reads a file that must be private into `text`, at most `bytes_max` of it.
///
/// # Errors
/// What the file system says.
pub fn read_private(path: &Path, bytes_max: u64, text: &mut String) -> io::Result<Secret> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Secret::Missing),
        opened => opened?,
    };
    let known = file.metadata()?;
    if known.permissions().mode() & 0o077 != 0 {
        return Ok(Secret::Exposed);
    }
    // Room for all of it and for the read that finds its end: a buffer that grows leaves copies behind.
    text.reserve(usize::try_from(known.len().min(bytes_max)).unwrap_or(0) + 64);
    file.take(bytes_max).read_to_string(text)?;
    Ok(Secret::Read)
}

/// Puts a file in place, readable to its owner alone, so that after a crash there is the old one or the new one.
///
/// # Errors
/// What the file system says.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
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
    dos_host::dir::sync_parent(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_private_from_the_start_and_enforced_where_that_is_wanted() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        create_private(&path).unwrap();
        assert_eq!((mode(&temp.path().join("a")), mode(&path)), (0o700, 0o700));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        create_private(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
        for writable in [0o770, 0o702, 0o1777] {
            fs::set_permissions(&path, Permissions::from_mode(writable)).unwrap();
            assert_eq!(create_private(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        make_private(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_directory_of_another_user_is_refused_by_root_too() {
        for (owner, user, is_good) in [(7, 7, true), (0, 7, true), (0, 0, true), (8, 7, false), (7, 0, false)]
        {
            assert_eq!(judge(owner, user).is_ok(), is_good, "{owner} {user}");
        }
    }

    #[test]
    fn one_daemon_has_the_lock_and_what_only_reads_keeps_it_out() {
        let temp = tempfile::tempdir().unwrap();
        assert!(matches!(Lock::hold(temp.path()), Ok(None)));
        let daemon = Lock::take(temp.path()).unwrap();
        assert!(matches!(Lock::take(temp.path()), Err(LockError::InUse)));
        assert!(matches!(Lock::hold(temp.path()), Err(LockError::InUse)));
        drop(daemon);
        let held = [Lock::hold(temp.path()).unwrap(), Lock::hold(temp.path()).unwrap()];
        assert!(matches!(Lock::take(temp.path()), Err(LockError::InUse)));
        drop(held);
        drop(Lock::take(temp.path()).unwrap());
        assert!(matches!(Lock::take(Path::new("/dev/null")), Err(LockError::Failed(_))));
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

    #[test]
    fn a_secret_that_others_can_read_is_not_read() {
        let temp = tempfile::tempdir().unwrap();
        let (path, mut text) = (temp.path().join("key"), String::new());
        assert!(matches!(read_private(&path, 100, &mut text), Ok(Secret::Missing)));
        replace_file(&path, b"secret").unwrap();
        assert!(matches!(read_private(&path, 3, &mut text), Ok(Secret::Read)));
        assert_eq!(text, "sec");
        fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        text.clear();
        assert!(matches!(read_private(&path, 100, &mut text), Ok(Secret::Exposed)));
        assert_eq!(text, "");
    }
}
