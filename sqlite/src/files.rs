//! Whether a database's files are still where they were opened: a commit to files that have lost their names is durable, and no
//! restart finds it.
//!
//! A look is two `stat` calls, some microseconds beside the milliseconds of a commit.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A file's identity on this host.
type Id = (u64, u64);

/// The files of an open database.
#[derive(Debug)]
pub(crate) struct Files {
    database: (PathBuf, Id),
    log: PathBuf,
    /// Known as soon as there is a log: it is made by the first change and stays until the database is closed.
    log_id: Option<Id>,
}

impl Files {
    /// Those of the database at `path`, which is open.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut log = OsString::from(path);
        log.push("-wal");
        let log = PathBuf::from(log);
        let log_id = id(&log).ok();
        Ok(Self { database: (path.to_owned(), id(path)?), log, log_id })
    }

    /// Whether both have their names still; with the name of one that has not.
    pub(crate) fn look(&mut self) -> Result<(), PathBuf> {
        let (path, known) = &self.database;
        if id(path).ok() != Some(*known) {
            return Err(path.clone());
        }
        match (id(&self.log), self.log_id) {
            (Ok(found), Some(known)) if found == known => Ok(()),
            (Ok(found), None) => {
                self.log_id = Some(found);
                Ok(())
            }
            (Err(_), None) => Ok(()),
            (_, Some(_)) => Err(self.log.clone()),
        }
    }
}

fn id(path: &Path) -> io::Result<Id> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_gone_that_were_removed_moved_or_replaced() {
        type Do = fn(&Path);
        let log = |path: &Path| path.with_file_name("db-wal");
        let cases: [(&str, bool, Do); 6] = [
            ("nothing", true, |_| ()),
            ("the database removed", false, |path| fs::remove_file(path).unwrap()),
            ("the database replaced", false, |path| {
                let new = path.with_file_name("new");
                fs::copy(path, &new).unwrap();
                fs::rename(new, path).unwrap();
            }),
            ("the log removed", false, |path| fs::remove_file(path.with_file_name("db-wal")).unwrap()),
            ("the directory moved", false, |path| {
                let parent = path.parent().unwrap();
                fs::rename(parent, parent.with_file_name("moved")).unwrap();
            }),
            ("the log longer", true, |path| fs::write(path.with_file_name("db-wal"), "longer").unwrap()),
        ];
        for (what, stays, act) in cases {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("data/db");
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(&path, "database").unwrap();
            let mut files = Files::of(&path).unwrap();
            assert!(files.look().is_ok(), "without a log yet");
            fs::write(log(&path), "log").unwrap();
            assert!(files.look().is_ok(), "with its log");
            act(&path);
            assert_eq!(files.look().is_ok(), stays, "{what}");
        }
    }
}
