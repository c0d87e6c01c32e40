//! A file or a directory that is gone when the command ends, however it ends: dropped, or by SIGINT, SIGTERM or SIGHUP.
//!
//! One such path exists in a process at most: the thread that it starts takes the process's signals. A failure to remove it is
//! not reported, since by then no one is left to report it to.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use dos_host::signals::Ignored;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

/// The path, unless it was renamed or kept.
#[derive(Debug)]
pub(crate) struct Temporary(Arc<Mutex<Option<PathBuf>>>);

impl Temporary {
    /// Has `make` create something and return its path.
    ///
    /// # Errors
    /// Those of `make`, or no thread can be started.
    pub(crate) fn create<T>(make: impl FnOnce() -> io::Result<(PathBuf, T)>) -> io::Result<(Self, T)> {
        let shared = Arc::new(Mutex::new(None));
        remove_on_signal(Arc::clone(&shared))?;
        // Locked until the path is known, so that a signal in between waits for it.
        let mut path = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, value) = make()?;
        *path = Some(made);
        drop(path);
        Ok((Self(shared), value))
    }

    /// Gives it its final name, under which it stays.
    ///
    /// # Errors
    /// Those of rename(2); it then still goes away.
    pub(crate) fn rename(&self, dest: &Path) -> io::Result<()> {
        let mut path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from) = path.as_ref() {
            fs::rename(from, dest)?;
            *path = None;
        }
        Ok(())
    }

    /// Gives it its final name, under which it stays, unless something has that name. Then it stays where it is, and that is
    /// returned.
    ///
    /// # Errors
    /// Those of renameat2(2); it then still goes away.
    pub(crate) fn rename_new(&self, dest: &Path) -> io::Result<Option<PathBuf>> {
        let mut path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(from) = path.as_ref() else { return Ok(None) };
        match renameat_with(CWD, from, CWD, dest, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(path.take()),
            // A file system that does not know it.
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, dest)?,
            Err(error) => return Err(error.into()),
        }
        *path = None;
        Ok(None)
    }

    /// Leaves it where it is.
    pub(crate) fn keep(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn remove(path: &mut Option<PathBuf>) {
    let Some(path) = path.take() else { return };
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.unwrap_or_default();
}

/// Ends the process with the exit code that a shell reports for the signal.
fn remove_on_signal(path: Arc<Mutex<Option<PathBuf>>>) -> io::Result<()> {
    let mut signals = Signals::new(Ignored::of_process().handled(&[SIGINT, SIGTERM, SIGHUP]))?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Locked until the process is gone, so that neither a rename nor a new file comes after the removal.
            let mut path = path.lock().unwrap_or_else(PoisonError::into_inner);
            remove(&mut path);
            low_level::exit(128 + signal);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &Path) -> Temporary {
        let make = || fs::write(path, "x").map(|()| (path.to_owned(), ()));
        Temporary::create(make).unwrap().0
    }

    #[test]
    fn what_is_dropped_is_removed_with_all_that_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let (file, folder) = (directory.path().join("file"), directory.path().join("folder"));
        drop(made(&file));
        let make = || fs::create_dir(&folder).map(|()| (folder.clone(), ()));
        let (temporary, ()) = Temporary::create(make).unwrap();
        fs::write(folder.join("sea.jpg"), "x").unwrap();
        drop(temporary);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_renamed_or_kept_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (file, dest) = (directory.path().join("file"), directory.path().join("dest"));
        let temporary = made(&file);
        temporary.rename(&dest).unwrap();
        drop(temporary);
        assert!(dest.exists() && !file.exists());
        let temporary = made(&file);
        temporary.keep();
        drop(temporary);
        assert!(file.exists());
    }
}
