//! The tables of a program in PostgreSQL, and their versions, which are the same as in SQLite.
//!
//! A database that is new gets the tables as they are since `first`; one that has them is brought up to date in steps. All of it is
//! one transaction, under the lock that excludes every writer.

use tokio_postgres::error::SqlState;

use super::{PostgresError, Session, lane::ALONE};
use crate::{Connection, OpenError, Row};

/// A program's tables.
#[derive(Debug, Clone, Copy)]
pub struct PostgresSchema {
    /// Marks the database as the program's.
    pub application: &'static str,
    /// The version of `tables`.
    pub first: usize,
    /// All tables, as they are in that version.
    pub tables: &'static str,
    /// The steps after it, in order. Once released they are never changed.
    pub steps: &'static [&'static str],
}

/// What the lanes need of every database.
const OF_LANES: &str = "
    CREATE TABLE IF NOT EXISTS meta(
        one bigint PRIMARY KEY CHECK(one = 1), application text COLLATE \"C\" NOT NULL, version bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS lanes(
        lane text COLLATE \"C\" PRIMARY KEY, batch bigint NOT NULL, at timestamptz NOT NULL) WITH (fillfactor = 50);
    DELETE FROM lanes WHERE at < now() - interval '1 day';";

impl PostgresSchema {
    /// The newest version.
    #[must_use]
    pub fn version(&self) -> usize {
        self.first + self.steps.len()
    }

    /// Makes the tables, or brings them up to date; tells the version that they had, 0 for none.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] or [`OpenError::Newer`], before anything is changed; [`OpenError::Postgres`].
    pub fn apply(&self, session: &Session) -> Result<usize, OpenError> {
        match self.try_apply(session) {
            // Another process has made them in the same moment.
            Err(OpenError::Postgres(error)) if is_made_twice(&error) => {
                session.batch("ROLLBACK")?;
                self.try_apply(session)
            }
            Err(error) => {
                // What was not changed is all that is left.
                drop(session.batch("ROLLBACK"));
                Err(error)
            }
            done => done,
        }
    }

    /// The version that a database has, which is not changed.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] if it has other tables; [`OpenError::Newer`].
    pub fn found(&self, session: &Session) -> Result<usize, OpenError> {
        let connection = Connection::Postgres(session);
        // In one statement, since another process may be making them.
        let sql = "SELECT count(*), coalesce(sum(CASE WHEN tablename = 'meta' THEN 1 ELSE 0 END), 0)
                   FROM pg_tables WHERE schemaname = current_schema()";
        let counts = |row: Row<'_>| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?));
        match connection.query_row(sql, (), counts)? {
            (0, _) => return Ok(0),
            (_, 0) => return Err(OpenError::Foreign),
            _ => {}
        }
        self.version_in(&connection, "SELECT application, version FROM meta")
    }

    fn version_in(&self, connection: &Connection<'_>, sql: &str) -> Result<usize, OpenError> {
        let (application, found) =
            connection.query_row(sql, (), |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)?)))?;
        let found = usize::try_from(found).map_err(|_| OpenError::Foreign)?;
        if application != self.application {
            return Err(OpenError::Foreign);
        }
        if found > self.version() {
            return Err(OpenError::Newer { found, known: self.version() });
        }
        Ok(found)
    }

    fn try_apply(&self, session: &Session) -> Result<usize, OpenError> {
        self.found(session)?;
        session.batch(&format!(
            "BEGIN; {OF_LANES} {ALONE};
             INSERT INTO meta(one, application, version) VALUES(1, '{}', 0) ON CONFLICT DO NOTHING;",
            self.application
        ))?;
        let connection = Connection::Postgres(session);
        let found = self.version_in(&connection, "SELECT application, version FROM meta")?;
        let next = if found == 0 {
            session.batch(self.tables)?;
            self.first
        } else {
            found
        };
        for step in self.steps.iter().skip(next.saturating_sub(self.first)) {
            session.batch(step)?;
        }
        session.commit(&format!("UPDATE meta SET version = {}; COMMIT", self.version()))?;
        Ok(found)
    }
}

fn is_made_twice(error: &PostgresError) -> bool {
    [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT]
        .iter()
        .any(|code| error.has_code(code))
}
