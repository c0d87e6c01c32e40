//! The file of a local socket: where it may be made, whether it is still there, and whose it is.
//!
//! What always holds: only a socket that no one answers is removed, and never one that another process has put in its place; a
//! socket in a directory that others can change is neither made nor trusted.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use crate::{
    dir::parent_of,
    user::{is_trusted, own},
};

/// Others may write.
const WRITABLE: u32 = 0o022;

/// Others may write, but not remove or rename what is not theirs.
const STICKY: u32 = 0o1000;

/// Why a socket is not made where it was to be.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Somebody else could put another socket in its place.
    #[error("the directory {path} belongs to another user (uid {uid})", path = .0.display(), uid = .1)]
    Foreign(PathBuf, u32),
    /// Likewise.
    #[error("others can write to the directory {path}: run chmod go-w on it", path = .0.display())]
    Writable(PathBuf),
    /// What has the name is no socket; it is not removed.
    #[error("{path} is there and is not a socket", path = .0.display())]
    NotSocket(PathBuf),
    /// A socket of somebody else has the name.
    #[error("{path} is the socket of another user (uid {uid})", path = .0.display(), uid = .1)]
    ForeignSocket(PathBuf, u32),
    /// Another process answers there.
    #[error("another process answers at {path}", path = .0.display())]
    InUse(PathBuf),
    /// The system.
    #[error("cannot use {path}", path = .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// Checks that a directory is one's own or root's, and that no one else can change what is in it.
///
/// # Errors
/// As in [`PlaceError`].
pub fn check_directory(path: &Path) -> Result<(), PlaceError> {
    let known = fs::metadata(path).map_err(|error| PlaceError::Io(path.to_owned(), error))?;
    if !is_trusted(known.uid()) {
        return Err(PlaceError::Foreign(path.to_owned(), known.uid()));
    }
    if known.mode() & WRITABLE != 0 && known.mode() & STICKY == 0 {
        return Err(PlaceError::Writable(path.to_owned()));
    }
    Ok(())
}

/// Checks the place of a socket, whose directory is there, and removes a socket that a dead process has left.
///
/// # Errors
/// As in [`PlaceError`].
pub fn clear(path: &Path) -> Result<(), PlaceError> {
    check_directory(parent_of(path))?;
    let failed = |error| PlaceError::Io(path.to_owned(), error);
    let known = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        known => known.map_err(failed)?,
    };
    if !known.file_type().is_socket() {
        return Err(PlaceError::NotSocket(path.to_owned()));
    }
    if !is_trusted(known.uid()) {
        return Err(PlaceError::ForeignSocket(path.to_owned(), known.uid()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(PlaceError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The file of a socket that this process has bound; removed when dropped, if it is still that one.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    /// The one that was just bound at `path`.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn bound(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(path)? })
    }

    /// Where it is, or was.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it still has its name, so that others can find it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        id(&self.path).is_ok_and(|found| found == self.id)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there() {
            // It may go in between; that is what is wanted.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// While the socket is bound the kernel keeps its inode, so that no other file has the number.
fn id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Why the process that listens on a socket is not spoken to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// The kernel does not tell who it is.
    #[error("the system does not tell who listens there")]
    Unknown,
    /// A process of another user.
    #[error("a process of another user (uid {0}) listens there")]
    Listener(u32),
    /// Another user could have put it there.
    #[error("its directory belongs to another user (uid {0})")]
    Directory(u32),
    /// Likewise.
    #[error("others can write to its directory")]
    Writable,
}

/// Checks who listens on the socket at `path`: `listener` is the user whose process has made it (`SO_PEERCRED` in unix(7)).
///
/// # Errors
/// As in [`Stranger`].
pub fn check_listener(path: &Path, listener: Option<u32>) -> Result<(), Stranger> {
    let listener = listener.ok_or(Stranger::Unknown)?;
    // Connected already: a directory that has gone meanwhile is no one else's.
    let directory = fs::metadata(parent_of(path)).map(|known| (known.uid(), known.mode()));
    judge(own(), listener, directory.ok())
}

/// A user trusts its own processes and root's. Root also trusts another user's, if that user alone can put a socket there: a daemon
/// that runs as a user of its own is root's to drive.
fn judge(user: u32, listener: u32, directory: Option<(u32, u32)>) -> Result<(), Stranger> {
    let is_own = |uid: u32| uid == user || uid == 0;
    let owner = directory.map_or(listener, |(owner, _)| owner);
    let is_daemons = user == 0 && owner == listener;
    if !is_own(listener) && !is_daemons {
        return Err(Stranger::Listener(listener));
    }
    if !is_own(owner) && !is_daemons {
        return Err(Stranger::Directory(owner));
    }
    match directory {
        Some((_, mode)) if mode & WRITABLE != 0 && mode & STICKY == 0 => Err(Stranger::Writable),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::PermissionsExt, net::UnixListener};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_listener_is_ones_own_or_roots_and_root_drives_a_daemon_in_its_directory() {
        const ME: u32 = 1000;
        const THEM: u32 = 1001;
        let private = |uid| Some((uid, 0o700));
        for (user, listener, directory, expected) in [
            (ME, ME, private(ME), Ok(())),
            (ME, 0, private(0), Ok(())),
            (ME, ME, None, Ok(())),
            (ME, ME, Some((0, 0o1777)), Ok(())),
            (ME, THEM, private(ME), Err(Stranger::Listener(THEM))),
            (ME, THEM, private(THEM), Err(Stranger::Listener(THEM))),
            (ME, THEM, Some((0, 0o1777)), Err(Stranger::Listener(THEM))),
            (ME, ME, private(THEM), Err(Stranger::Directory(THEM))),
            (ME, ME, Some((ME, 0o770)), Err(Stranger::Writable)),
            (ME, ME, Some((ME, 0o702)), Err(Stranger::Writable)),
            (0, 0, private(0), Ok(())),
            (0, THEM, private(THEM), Ok(())),
            (0, THEM, private(ME), Err(Stranger::Listener(THEM))),
            (0, THEM, Some((0, 0o1777)), Err(Stranger::Listener(THEM))),
            (0, 0, private(THEM), Err(Stranger::Directory(THEM))),
        ] {
            assert_eq!(judge(user, listener, directory), expected, "{user} {listener} {directory:?}");
        }
        assert_eq!(check_listener(Path::new("/"), None), Err(Stranger::Unknown));
    }

    #[test]
    fn what_is_no_dead_socket_stays() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        clear(&path).unwrap();
        fs::write(&path, "a letter").unwrap();
        assert!(matches!(clear(&path), Err(PlaceError::NotSocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(temp.path().join("other"), &path).unwrap();
        assert!(matches!(clear(&path), Err(PlaceError::NotSocket(_))));
        fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(clear(&path), Err(PlaceError::InUse(_))));
        drop(listener);
        assert!(path.exists());
        clear(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn no_socket_is_made_where_others_can_replace_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        for (mode, is_good) in [(0o700, true), (0o755, true), (0o770, false), (0o702, false), (0o1777, true)]
        {
            set_mode(temp.path(), mode);
            assert_eq!(clear(&path).is_ok(), is_good, "{mode:o}");
        }
        assert!(matches!(clear(Path::new("/missing/s")), Err(PlaceError::Io(..))));
    }

    #[test]
    fn the_socket_of_another_process_is_not_removed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("s");
        let first = UnixListener::bind(&path).unwrap();
        let file = SocketFile::bound(&path).unwrap();
        assert!(file.is_there());
        fs::remove_file(&path).unwrap();
        assert!(!file.is_there());
        let second = UnixListener::bind(&path).unwrap();
        assert!(!file.is_there());
        drop((file, first));
        assert!(path.exists());
        drop((SocketFile::bound(&path).unwrap(), second));
        assert!(!path.exists());
    }
}
