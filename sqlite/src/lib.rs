//! SQLite as a durable store for a daemon: one writer with group commit, readers beside it, migrations.
//!
//! What always holds: an operation is one transaction's worth of work, it is answered only after the commit that
//! contains it has reached the disk (`synchronous=FULL`), and what runs after a commit runs in the order of the
//! operations. What is deleted is overwritten: in the database at once, in its log soon ([`Writer`]), in the copies from before
//! a migration after a week. Nothing here knows what is stored.

mod checkpoints;
mod files;
mod open;
mod reader;
mod schema;
mod writer;

pub use open::{OpenError, open_reader, open_writer};
pub use reader::Readers;
pub use schema::{Migration, OVERWRITE_FREE_PAGES, Schema, copy_name};
pub use writer::{BATCH_MAX, Counters, QUEUE_MAX, Writer, WriterStats, WriterThread};

use std::{path::PathBuf, sync::Arc};

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file system has no room; what was asked is undone.
    #[error("the disk is full")]
    Full(#[source] Arc<rusqlite::Error>),
    /// SQLite failed; what was asked is undone.
    #[error("the database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// An operation beside this one made SQLite undo the whole transaction (a full disk, a failing one).
    #[error("the database undid the change")]
    Undone,
    /// The database's files are not where they were opened: what was asked is not answered as done, since no restart would find it.
    #[error("the database's file {path} was removed or replaced", path = .0.display())]
    Gone(PathBuf),
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(Arc::new(error)),
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}
