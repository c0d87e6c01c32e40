//! A connection of either engine, for one operation: statements, and the rows that they give.

use std::collections::VecDeque;

use rusqlite::{CachedStatement, types::Value};

use crate::{
    Error, Params, Result, Row,
    postgres::{Prepared, Session},
    row::Kind,
};

/// A connection, inside the transaction of an operation, or for reading.
#[derive(Debug, Clone, Copy)]
pub enum Connection<'c> {
    /// To SQLite.
    Sqlite(&'c rusqlite::Connection),
    /// To PostgreSQL.
    Postgres(&'c Session),
}

/// A statement that can be run with several sets of parameters.
#[derive(Debug)]
pub struct Statement<'c>(Engine<'c>);

enum Engine<'c> {
    Sqlite(CachedStatement<'c>),
    Postgres(&'c Session, Prepared),
}

impl std::fmt::Debug for Engine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No parameters: they may be secrets.
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(..) => "Postgres",
        })
    }
}

impl<'c> Connection<'c> {
    /// Whether it is to PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Prepares a statement, or takes the one that was prepared for the same text.
    ///
    /// # Errors
    /// If the engine refuses the text.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'c>> {
        Ok(Statement(match *self {
            Self::Sqlite(connection) => Engine::Sqlite(connection.prepare_cached(sql)?),
            Self::Postgres(session) => Engine::Postgres(session, session.prepare(sql)?),
        }))
    }

    /// Runs a statement; answers the number of rows that it has changed.
    ///
    /// # Errors
    /// If it fails.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare(sql)?.execute(params)
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// [`Error::NoRow`], which [`crate::Optional`] takes for nothing.
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare(sql)?.query_row(params, read)
    }

    /// Claims what hangs on this key for the operation.
    ///
    /// # Errors
    /// [`Error::Narrow`] if its [`crate::Scope`] does not have it: the operation is undone then, whatever it answers, and done anew
    /// with everything.
    pub fn need(&self, key: i64) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.need(Some(key)),
        }
    }

    /// Claims everything for the operation.
    ///
    /// # Errors
    /// [`Error::Narrow`] as [`Connection::need`].
    pub fn need_whole(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.need(None),
        }
    }

    /// Whether other operations run beside this one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(session) => session.is_shared(),
        }
    }

    /// Runs statements without parameters, one after the other.
    ///
    /// # Errors
    /// If one fails.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(session) => Ok(session.batch(sql)?),
        }
    }
}

impl Statement<'_> {
    /// Runs it; answers the number of rows that it has changed.
    ///
    /// # Errors
    /// If it fails.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        match &mut self.0 {
            Engine::Sqlite(statement) => Ok(statement.execute(params.sqlite())?),
            Engine::Postgres(session, prepared) => params.with(|params| session.execute(prepared, params)),
        }
    }

    /// Whether it has a row.
    ///
    /// # Errors
    /// If it fails.
    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// Its first row.
    ///
    /// # Errors
    /// [`Error::NoRow`], which [`crate::Optional`] takes for nothing.
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(params)?;
        read(rows.next()?.ok_or(Error::NoRow)?)
    }

    /// Its rows, each as `read` makes it.
    ///
    /// # Errors
    /// If it fails.
    pub fn query_map<T, F>(&mut self, params: impl Params, read: F) -> Result<MappedRows<'_, F>>
    where
        F: FnMut(Row<'_>) -> Result<T>,
    {
        Ok(MappedRows { rows: self.query(params)?, read })
    }

    /// Its rows.
    ///
    /// # Errors
    /// If it fails.
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        Ok(Rows(match &mut self.0 {
            Engine::Sqlite(statement) => Source::Sqlite(statement.query(params.sqlite())?),
            Engine::Postgres(session, prepared) => {
                let waiting = params.with(|params| session.query(prepared, params))?;
                Source::Values { waiting: waiting.into(), current: Vec::new() }
            }
        }))
    }
}

/// Rows, one after the other.
pub struct Rows<'s>(Source<'s>);

enum Source<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Values { waiting: VecDeque<Vec<Value>>, current: Vec<Value> },
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// The next one; nothing behind the last.
    ///
    /// # Errors
    /// If the statement fails.
    #[expect(clippy::should_implement_trait, reason = "a row borrows from what gives it")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        match &mut self.0 {
            Source::Sqlite(rows) => Ok(rows.next()?.map(|row| Row(Kind::Sqlite(row)))),
            Source::Values { waiting, current } => {
                let Some(next) = waiting.pop_front() else { return Ok(None) };
                *current = next;
                Ok(Some(Row(Kind::Values(current))))
            }
        }
    }
}

/// Rows as a function makes them.
#[derive(Debug)]
pub struct MappedRows<'s, F> {
    rows: Rows<'s>,
    read: F,
}

impl<T, F> Iterator for MappedRows<'_, F>
where
    F: FnMut(Row<'_>) -> Result<T>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(Some(row)) => Some((self.read)(row)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}
