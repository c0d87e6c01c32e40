//! The directory for originals that a viewer on this desktop shows, beside the socket: dosctl writes them there.
//!
//! What always holds: it is empty when the daemon starts, and gone when it has stopped; it is 0700 and no link. Whether it
//! lies in memory is for dosctl to look at, before it writes. The daemon itself writes nothing there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use dos_protocol::paths::open_dir;

/// The directory; gone with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct Opened(PathBuf);

impl Opened {
    /// Makes the directory of `socket` anew. Without one the daemon does everything else.
    pub(crate) fn prepare(socket: &Path) -> Option<Self> {
        let path = open_dir(socket);
        match remove(&path).and_then(|()| DirBuilder::new().mode(0o700).create(&path)) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, path = %path.display(), "there is no place for a viewer's files");
                None
            }
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, path = %self.0.display(), "a viewer's files are left");
        }
    }
}

/// Removes what has this name; a link is not followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(known) if known.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_a_crash_left_is_gone_at_the_start_and_everything_at_the_stop() {
        let temp = tempfile::tempdir().unwrap();
        let socket = temp.path().join("control.sock");
        let dir = temp.path().join("control.open");
        fs::create_dir_all(dir.join("x")).unwrap();
        fs::write(dir.join("x/sea.jpg"), "left").unwrap();
        let opened = Opened::prepare(&socket).unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(dir.join("sea.jpg"), "open").unwrap();
        drop(opened);
        assert!(!dir.exists());
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = temp.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("mine"), "mine").unwrap();
        std::os::unix::fs::symlink(&elsewhere, temp.path().join("control.open")).unwrap();
        let opened = Opened::prepare(&temp.path().join("control.sock")).unwrap();
        assert!(fs::symlink_metadata(temp.path().join("control.open")).unwrap().is_dir());
        drop(opened);
        assert!(elsewhere.join("mine").exists());
    }
}
