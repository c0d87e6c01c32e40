//! Schema versions. A database is brought up to date in steps, each in one transaction with its version, after a copy of
//! it was made; a newer one than the program knows is refused untouched, and so is a database of another program.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    types::{ToSqlOutput, ValueRef},
};

use crate::open::OpenError;

/// One step. Once released it is never changed.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The SQL of the step.
    pub sql: &'static str,
}

/// A step for databases that have been written by a program that did not overwrite pages that became free: takes them all for a table of
/// zeros and gives them back.
pub const OVERWRITE_FREE_PAGES: &str = "
CREATE TABLE overwritten(content BLOB);
WITH RECURSIVE
    free(pages, bytes) AS (SELECT freelist_count, page_size - 96 FROM pragma_freelist_count, pragma_page_size),
    page(number) AS (SELECT pages FROM free UNION ALL SELECT number - 1 FROM page WHERE number > 1)
INSERT INTO overwritten SELECT zeroblob(bytes) FROM page, free WHERE number > 0;
DROP TABLE overwritten;
";

/// All steps of a program's database.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Marks the file as ours (`PRAGMA application_id`).
    pub application_id: i32,
    /// The steps in order; the version is how many of them were taken.
    pub migrations: &'static [Migration],
}

impl Schema {
    /// Brings the database at `path` up to date. If there is anything to do on a database that is in use already, a copy
    /// named [`copy_name`] is made before.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] or [`OpenError::Newer`], before anything is changed; [`OpenError::Copy`] if there is no
    /// room for the copy, likewise; [`OpenError::Sqlite`].
    pub(crate) fn apply(&self, connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
        let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if id != self.application_id && (id != 0 || version != 0 || tables != 0) {
            return Err(OpenError::Foreign);
        }
        let done = usize::try_from(version).map_err(|_| OpenError::Foreign)?;
        if done > self.migrations.len() {
            return Err(OpenError::Newer { found: done, known: self.migrations.len() });
        }
        if id == 0 {
            connection.pragma_update(None, "application_id", self.application_id)?;
        }
        if done > 0 && done < self.migrations.len() {
            copy(connection, &copy_name(path, done))?;
        }
        for (index, migration) in self.migrations.iter().enumerate().skip(done) {
            let step = connection.transaction()?;
            step.execute_batch(migration.sql)?;
            step.pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(i64::MAX))?;
            step.commit()?;
        }
        Ok(())
    }
}

/// Where the database at `path` is copied to before it leaves this version: beside it, as `NAME.v2.backup`.
#[must_use]
pub fn copy_name(path: &Path, version: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}.backup"));
    name.into()
}

/// Complete and durable before it has its name; one that an earlier attempt has made is replaced: it holds the same.
fn copy(connection: &Connection, to: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Copy(to.to_owned(), error);
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new);
    let file = file.map_err(failed)?;
    // SQLite takes an empty file for the copy, so it keeps our permissions.
    // A path is bytes, and so is a text to SQLite.
    let name = ToSqlOutput::Borrowed(ValueRef::Text(new.as_os_str().as_bytes()));
    let copied = connection.execute("VACUUM INTO ?1", [name]).map_err(io::Error::other);
    let synced = copied.and_then(|_| file.sync_all());
    if let Err(error) = synced {
        drop(fs::remove_file(&new));
        return Err(failed(error));
    }
    fs::rename(&new, to).map_err(failed)?;
    dos_host::dir::sync_parent(to).map_err(failed)?;
    tracing::info!(copy = %to.display(), "the database is brought up to date; it was copied before");
    Ok(())
}
