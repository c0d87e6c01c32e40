//! Schema versions. A database is brought up to date in steps, each in one transaction with its version; a newer one
//! than the program knows is refused untouched, and so is a database of another program.

use rusqlite::Connection;

use crate::open::OpenError;

/// One step. Once released it is never changed.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The SQL of the step.
    pub sql: &'static str,
}

/// All steps of a program's database.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Marks the file as ours (`PRAGMA application_id`).
    pub application_id: i32,
    /// The steps in order; the version is how many of them were taken.
    pub migrations: &'static [Migration],
}

impl Schema {
    /// Brings the database up to date.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] or [`OpenError::Newer`], before anything is changed; [`OpenError::Sqlite`].
    pub(crate) fn apply(&self, connection: &mut Connection) -> Result<(), OpenError> {
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
        for (index, migration) in self.migrations.iter().enumerate().skip(done) {
            let step = connection.transaction()?;
            step.execute_batch(migration.sql)?;
            step.pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(i64::MAX))?;
            step.commit()?;
        }
        Ok(())
    }
}
