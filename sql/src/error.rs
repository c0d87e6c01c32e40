//! Why a statement, or the store, failed.

use std::sync::Arc;

use rusqlite::types::FromSqlError;

use crate::{Durability, PostgresError};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite's error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL's.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// There is no row.
    #[error("there is no row")]
    NoRow,
    /// The operation needs more than what its [`crate::Scope`] has.
    #[error("the operation needs more than what is locked for it")]
    Narrow,
    /// A column that holds what the program never writes.
    #[error("column {0} holds a value that this program never writes")]
    Alien(usize),
    /// A value could not be made into what is stored, or the other way round.
    #[error("a value is not what is stored")]
    Value(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<FromSqlError> for Error {
    fn from(error: FromSqlError) -> Self {
        Self::Value(Box::new(error))
    }
}

/// Nothing instead of an error where there is no row.
pub trait Optional<T> {
    /// The value, if there is a row.
    ///
    /// # Errors
    /// Every other error.
    fn optional(self) -> crate::Result<Option<T>>;
}

impl<T> Optional<T> for crate::Result<T> {
    fn optional(self) -> crate::Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite's part of it failed.
    #[error(transparent)]
    Sqlite(#[from] dos_sqlite::StoreError),
    /// A statement failed; what was asked is undone.
    #[error("the database failed")]
    Failed(#[source] Arc<Error>),
    /// PostgreSQL is out of reach, or it is not known whether it has committed: the same operation is to be tried again.
    #[error("the database is out of reach")]
    Unavailable(#[source] PostgresError),
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Whether there is no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(error, dos_sqlite::StoreError::Full(_)),
            Self::Failed(error) => matches!(&**error, Error::Postgres(error) if error.is_full()),
            Self::Unavailable(_) | Self::Closed => false,
        }
    }

    /// Whether the files of the database are gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Sqlite(dos_sqlite::StoreError::Gone(_)))
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Sqlite(error) => Self::Sqlite(error.into()),
            Error::Postgres(error) if error.is_passing() => Self::Unavailable(error),
            error => Self::Failed(Arc::new(error)),
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite's file.
    #[error(transparent)]
    Sqlite(#[from] dos_sqlite::OpenError),
    /// PostgreSQL cannot be used.
    #[error("the database server cannot be used")]
    Postgres(#[from] PostgresError),
    /// A statement failed.
    #[error("the database cannot be used")]
    Failed(#[from] Error),
    /// It is the database of something else.
    #[error("the database is that of another program")]
    Foreign,
    /// A newer program has made it.
    #[error("the database has schema version {found}, this program knows {known}: use the newer program")]
    Newer {
        /// Its version.
        found: usize,
        /// The newest that is known.
        known: usize,
    },
    /// An older program has made it, and may be using it.
    #[error("the database has schema version {found}, this program needs {known}")]
    Older {
        /// Its version.
        found: usize,
        /// The one that is needed.
        known: usize,
    },
    /// What it confirms may be lost with the power.
    #[error(
        "the database server confirms what is not on its disk (fsync {fsync}, synchronous_commit {commit}): set both to on",
        fsync = if .0.fsync { "on" } else { "off" },
        commit = .0.synchronous_commit
    )]
    NotDurable(Durability),
    /// A thread could not be started.
    #[error("cannot start a thread for the database")]
    Thread(#[source] std::io::Error),
}
