//! Opening a database file: its permissions, its pragmas, its schema.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::schema::Schema;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or opened.
    #[error("cannot open the database {path}", path = .0.display())]
    File(PathBuf, #[source] io::Error),
    /// It is the database of something else.
    #[error("the file is not a database of this program")]
    Foreign,
    /// A newer program has made it.
    #[error("the database has schema version {found}, this program knows {known}: use the newer program")]
    Newer {
        /// Its version.
        found: usize,
        /// The newest that is known.
        known: usize,
    },
    /// It is not brought up to date, because it cannot be copied before.
    #[error("cannot copy the database to {path} before it is brought up to date", path = .0.display())]
    Copy(PathBuf, #[source] io::Error),
    /// SQLite failed.
    #[error("the database cannot be used")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// A thread could not be started.
    #[error("cannot start a thread for the database")]
    Thread(#[source] io::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// Prepared statements kept per connection: more than any of our programs has.
const STATEMENTS_KEPT: usize = 128;

/// The page cache of a connection in KiB (negative, as SQLite wants it): it spares copies, the kernel's cache does the
/// rest.
const CACHE_KIB: i64 = -16 * 1024;

/// How much of the file is mapped for reading: a warm read then costs no system call.
const MAPPED_BYTES: i64 = 1 << 30;

/// The log starts over when it has so many pages (4 MB) and all of them are in the database.
const AUTOCHECKPOINT_PAGES: i64 = 1000;

/// The log is this long from the start, a little more than it gets until it starts over. Syncing what overwrites a file
/// is one write; syncing what makes it longer is the file system's business too, and takes half as long again.
const LOG_BYTES: u64 = 5 << 20;

/// Opens (or makes, readable to its owner alone) the database for writing and brings its schema up to date.
///
/// # Errors
/// As in [`OpenError`].
pub fn open_writer(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    // A file that is there is not opened here: to close it would release the locks that other connections of this process have on it
    // (<https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>), and the next
    // program that looks into the database would remove its log.
    match OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(OpenError::File(path.to_owned(), error)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    // The version is looked at before the journal mode is touched: a file that is refused stays as it is.
    schema_check(&connection, schema)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten, also in pages that are free then.
    connection.pragma_update(None, "secure_delete", true)?;
    schema.apply(&mut connection, path)?;
    // Steps of the past have set it for themselves.
    connection.pragma_update(None, "secure_delete", true)?;
    // A log that a crash has left, or a migration, may have what is deleted. If somebody reads it now, it goes later.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    lengthen_log(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
    Ok(connection)
}

/// Fills the log up with zeros, which are no frames (section 4.1 of SQLite's file format: a frame is valid by its salt and
/// checksum). SQLite takes no locks on this file, so opening and closing it here disturbs none.
pub(crate) fn lengthen_log(path: &Path) -> io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mut file = match OpenOptions::new().append(true).open(&log) {
        Ok(file) => file,
        // Nothing was written yet since the database was opened: there is no log.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let missing = LOG_BYTES.saturating_sub(file.metadata()?.len());
    if missing > 0 {
        io::copy(&mut io::repeat(0).take(missing), &mut file)?;
        file.sync_all()?;
    }
    Ok(())
}

/// Opens the database for reading beside its writer.
///
/// # Errors
/// [`OpenError::Sqlite`].
pub fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), OpenError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // Else a join is prepared anew whenever it is bound to other values, in case they make for a better plan: that costs more
    // than all of a look-up by key (<https://sqlite.org/queryplanner-ng.html#qpstab>).
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

fn schema_check(connection: &Connection, schema: &Schema) -> Result<(), OpenError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = schema.migrations.len();
    match usize::try_from(version) {
        Ok(found) if found > known => Err(OpenError::Newer { found, known }),
        Ok(_) => Ok(()),
        Err(_) => Err(OpenError::Foreign),
    }
}
