//! A database made from a backup, for a directory that has none.
//!
//! What always holds: the backup stays as it is; nothing has the database's name before it is verified, complete and
//! durable. What it is made from is another incarnation: numbers that were given after the backup was made are not given again.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use dos_protocol::{Code, Timestamp, WireError, admin::Checked};

use dos_sql::Connection;

use super::{Refusal, check::check, images, incarnation, schema::SCHEMA};
use crate::rules::refusal::conflict;

/// Copies the backup `from` to `to` and tells what is in it.
///
/// # Errors
/// `conflict` if there is a database at `to`; `not_found` if there is no backup; `invalid` if it is damaged, of another
/// program or a newer one, or not a backup but the files of a server.
pub fn restore(from: &Path, to: &Path) -> Result<Checked, Refusal> {
    if fs::symlink_metadata(to).is_ok() {
        let why = format!("there is a database {} already: a backup goes to an empty place", to.display());
        return Err(conflict(why).into());
    }
    if log_of(from).metadata().is_ok_and(|log| log.len() > 0) {
        let why =
            format!("{} is the database of a server, not a backup: it has a log beside it", from.display());
        return Err(WireError::new(Code::Invalid, why).hint("dosd backup FILE").into());
    }
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    let new = Unfinished(new.into());
    copy(from, &new.0)?;
    let checked = check(&new.0)?;
    if !checked.findings.is_empty() {
        let why = format!("the backup {} is not sound", from.display());
        return Err(WireError::new(Code::Invalid, why).caused_by(checked.findings.join("; ")).into());
    }
    let version = version(&new.0)?;
    renew(&new.0)?;
    // The backup is the copy of the older version.
    drop(fs::remove_file(dos_sqlite::copy_name(&new.0, version)));
    put(&new.0, to)?;
    Ok(checked)
}

/// Gives a complete file its name, durably.
pub(super) fn put(new: &Path, to: &Path) -> Result<(), Refusal> {
    let failed = |error| unwritable(to, &error);
    File::open(new).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(new, to).map_err(failed)?;
    dos_host::dir::sync_parent(to).map_err(failed)
}

/// Removes what is left of an attempt, and what SQLite put beside it.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            // What is not there need not be removed.
            drop(fs::remove_file(name));
        }
    }
}

fn version(database: &Path) -> Result<usize, Refusal> {
    let connection = dos_sqlite::open_reader(database)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(0))
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn copy(from: &Path, new: &Path) -> Result<(), Refusal> {
    let mut source = File::open(from).map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Invalid };
        WireError::new(code, format!("cannot read {}", from.display())).caused_by(error.to_string())
    })?;
    let failed = |error| unwritable(new, &error);
    // What an interrupted attempt has left is of no use.
    let made = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(new);
    let mut target = made.map_err(failed)?;
    io::copy(&mut source, &mut target).map_err(failed)?;
    Ok(())
}

/// Brings the copy up to date and makes it another incarnation.
fn renew(new: &Path) -> Result<(), Refusal> {
    let connection = dos_sqlite::open_writer(new, &SCHEMA)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    images::hash_previews(&Connection::Sqlite(&connection))?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    incarnation::renew(&Connection::Sqlite(&connection), Timestamp::now())?;
    connection.execute_batch("COMMIT")?;
    // The last connection copies the log into the database and removes it.
    connection.close().map_err(|(_, error)| error.into())
}

pub(super) fn unwritable(file: &Path, error: &io::Error) -> Refusal {
    WireError::new(Code::Invalid, format!("cannot write {}", file.display()))
        .caused_by(error.to_string())
        .into()
}
