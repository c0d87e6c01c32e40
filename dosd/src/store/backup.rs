//! A copy of the database while it is in use: one consistent state, complete and durable before it has its name.
//!
//! Never overwrites: a file that is there stays as it is. The server's key is no part of the database, nor of the copy.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dos_protocol::{Code, WireError, random};
use dos_sqlite::StoreError;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tokio::task::spawn_blocking;

use super::{Place, Refusal, Store};
use crate::rules::refusal::conflict;

/// Pages copied before it is looked whether anybody still waits for the copy: 4 MiB, some milliseconds.
const PAGES_PER_STEP: i32 = 1024;

/// Stops the copying thread when no one waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Removes an unfinished copy.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove an unfinished backup");
        }
    }
}

impl Store {
    /// Copies the database to `file` and tells the copy's size in bytes. Cancelled, it leaves nothing behind.
    ///
    /// # Errors
    /// `conflict` if there is such a file; `not_found` if its directory is missing; `invalid` if it cannot be written.
    pub async fn backup(&self, file: PathBuf) -> Result<u64, Refusal> {
        let Place::File(source) = self.place.clone() else {
            let why = "the store is on database servers, which are backed up there";
            return Err(WireError::new(Code::Invalid, why).hint("pg_basebackup").into());
        };
        let abandoned = Arc::new(AtomicBool::new(false));
        let abandon = Abandon(Arc::clone(&abandoned));
        let copied = spawn_blocking(move || copy_to(&source, &file, &abandoned)).await;
        drop(abandon);
        copied.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

fn copy_to(source: &Path, file: &Path, abandoned: &AtomicBool) -> Result<u64, Refusal> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(taken(file));
    }
    let failed = |error: io::Error| unwritable(file, &error);
    let draw: [u8; 8] = random::bytes().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.{:016x}.new", u64::from_be_bytes(draw)));
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new).map_err(failed)?;
    let unfinished = Unfinished(new.clone());
    copy_pages(source, &new, abandoned)?;
    made.sync_all().map_err(failed)?;
    let bytes = made.metadata().map_err(failed)?.len();
    give_name(&new, file)?;
    drop(unfinished);
    dos_host::dir::sync_parent(file).map_err(failed)?;
    Ok(bytes)
}

/// Copies one state of the database: the one at the beginning, whatever is written meanwhile.
fn copy_pages(source: &Path, new: &Path, abandoned: &AtomicBool) -> Result<(), Refusal> {
    let source =
        dos_sqlite::open_reader(source).map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    // In a transaction that has read something the state stays the same: the copy need not begin anew after a write.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;")?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(new, flags)?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        if abandoned.load(Ordering::Relaxed) {
            return Err(StoreError::Closed.into());
        }
        match backup.step(PAGES_PER_STEP)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err(WireError::new(Code::Internal, "the database is locked").into()),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| error.into())
}

/// Gives the finished copy its name, unless a file has taken it in the meantime.
fn give_name(new: &Path, file: &Path) -> Result<(), Refusal> {
    match fs::hard_link(new, file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(file)),
        // A file system without hard links.
        Err(_) if fs::symlink_metadata(file).is_err() => {
            fs::rename(new, file).map_err(|error| unwritable(file, &error))
        }
        Err(_) => Err(taken(file)),
    }
}

fn taken(file: &Path) -> Refusal {
    conflict(format!("there is a file {} already", file.display())).into()
}

fn unwritable(file: &Path, error: &io::Error) -> Refusal {
    let code = if error.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Invalid };
    WireError::new(code, format!("cannot write {}", file.display())).caused_by(error.to_string()).into()
}
