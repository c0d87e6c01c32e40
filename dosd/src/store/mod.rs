//! Everything the directory remembers. One method is one operation is one transaction; nothing here knows sessions.
//!
//! A change and what it makes the directory owe to peers are committed together. After the commit, before the answer,
//! the rows owed are handed to the [`Deliver`] in the order of their transactions.

mod backup;
mod blocks;
mod check;
mod grants;
mod images;
mod inbox;
mod invites;
mod listing;
mod messages;
mod passwords;
mod peers;
mod prune;
mod requests;
mod restore;
mod row;
mod schema;
mod stats;
mod views;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use dos_protocol::{Code, Reason, WireError};
use dos_sqlite::{OpenError, Readers, StoreError, Writer, WriterStats, WriterThread};
use rusqlite::Connection;

use crate::blocks::Blocking;

use crate::limits::Limits;

pub use check::check;
pub use invites::Admission;
pub use listing::{PageQuery, Peers};
pub use messages::Taken;
pub use passwords::Login;
pub(crate) use passwords::NAMELESS;
pub use peers::{Known, Newcomer};
pub use prune::{Forgotten, ReceiptsStep};
pub use requests::Wish;
pub use restore::restore;
pub use stats::Counts;
pub use views::Once;

/// An inbox row that has just been committed.
#[derive(Debug, Clone)]
pub struct Owed {
    /// To whom.
    pub peer: dos_protocol::PeerId,
    /// Its place in the inbox.
    pub seq: dos_protocol::Seq,
    /// The message as it is sent.
    pub frame: Arc<[u8]>,
}

/// Who is told of rows and blocks as soon as they are committed. Called on the writer's thread: must not block.
pub trait Deliver: Send + Sync + 'static {
    /// In the order of the transactions.
    fn deliver(&self, owed: Vec<Owed>);
    /// A block was made or taken back; in the order of the transactions, before what that makes the directory owe. When the
    /// store is opened, every block that stands.
    fn blocking(&self, blocking: Blocking);
}

/// Why an operation was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The caller asked for what is not there or not allowed.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Refusal {
    fn not_found(what: impl Into<Box<str>>) -> Self {
        WireError::new(Code::NotFound, what).into()
    }

    fn denied(why: impl Into<Box<str>>, reason: Reason) -> Self {
        WireError::new(Code::Denied, why).because(reason).into()
    }

    fn conflict(what: impl Into<Box<str>>) -> Self {
        WireError::new(Code::Conflict, what).into()
    }

    fn invalid(what: impl Into<Box<str>>) -> Self {
        WireError::new(Code::Invalid, what).into()
    }

    fn stale() -> Self {
        WireError::new(Code::Stale, "the sealed copy or the share has been superseded").into()
    }
}

/// What came of a change, and what the directory now owes to whom.
struct Changed<T> {
    value: T,
    owed: Vec<Owed>,
}

impl<T> From<T> for Changed<T> {
    fn from(value: T) -> Self {
        Self { value, owed: Vec::new() }
    }
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Readers,
    deliver: Arc<dyn Deliver>,
    path: PathBuf,
    quotas: Arc<RwLock<Quotas>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("stats", &self.writer.stats()).finish_non_exhaustive()
    }
}

/// How much one peer may have in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Images.
    pub images: u64,
    /// Bytes of all previews.
    pub preview_bytes: u64,
    /// Updates that wait for one peer, before it gets no more messages, requests and rights.
    pub inbox_rows: u64,
    /// Of them messages and requests of one other peer.
    pub inbox_rows_per_sender: u64,
}

impl From<&Limits> for Quotas {
    fn from(limits: &Limits) -> Self {
        Self {
            images: limits.images_per_peer.into(),
            preview_bytes: limits.preview_bytes_per_peer,
            inbox_rows: limits.inbox_rows_max.into(),
            inbox_rows_per_sender: limits.inbox_rows_per_sender.into(),
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

/// Reading connections: as many as cores are worth using on a small server.
const READERS: usize = 4;

impl Store {
    /// Opens the database at `path`, makes it if it is missing, brings it up to date.
    ///
    /// # Errors
    /// As in [`OpenError`].
    pub fn open(path: &Path, deliver: Arc<dyn Deliver>) -> Result<(Self, WriterThread), OpenError> {
        let writing = dos_sqlite::open_writer(path, &schema::SCHEMA)?;
        let checkpoints = dos_sqlite::open_writer(path, &schema::SCHEMA)?;
        blocks::tell_all(&writing, &*deliver)?;
        let (writer, thread) = Writer::start(writing, checkpoints)?;
        let readers = Readers::open(path, READERS)?;
        let quotas = Arc::default();
        Ok((Self { writer, readers, deliver, path: path.to_owned(), quotas }, thread))
    }

    /// Puts other quotas in force.
    pub fn set_quotas(&self, quotas: Quotas) {
        *self.quotas.write().unwrap_or_else(PoisonError::into_inner) = quotas;
    }

    fn quotas(&self) -> Quotas {
        *self.quotas.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much was written since the start.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Whether the writer does its work; takes as long as what waits for it.
    pub async fn answers(&self) -> bool {
        self.writer.answers().await
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let deliver = Arc::clone(&self.deliver);
        let then = move |changed: &mut Changed<T>| {
            if !changed.owed.is_empty() {
                deliver.deliver(std::mem::take(&mut changed.owed));
            }
        };
        self.writer.call_then(work, then).await.map(|changed| changed.value)
    }

    /// For a few rows by their keys.
    async fn read_brief<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.readers.read_brief(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.readers.read(work).await
    }
}

/// The next number of a sequence that never repeats one.
fn next_number(connection: &Connection, counter: &str) -> rusqlite::Result<u64> {
    let mut statement =
        connection.prepare_cached("UPDATE counters SET last = last + 1 WHERE name = ?1 RETURNING last")?;
    statement.query_row([counter], |row| row::unsigned(row, 0))
}

#[cfg(test)]
mod tests;
