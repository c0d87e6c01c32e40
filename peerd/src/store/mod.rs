//! What must outlast the process, in SQLite. The only part of peerd that names rusqlite.
//!
//! What always holds: a method that writes is one transaction, durable when it returns. Types in and out are those of
//! the protocol; secrets pass through sealed by the vault, never in the clear. Nothing here touches a socket or a sealed
//! file; methods that make files superfluous return their hashes.

mod asks;
mod blocks;
mod contacts;
mod inbox;
mod library;
mod live;
mod messages;
mod operations;
mod relearn;
mod rights;
mod schema;
mod sending;
mod unknown;
mod views;

#[cfg(test)]
mod tests;

use std::path::Path;

use dos_protocol::{Code, PeerId, SealedHash, Seq, WireError, frame};
use dos_sqlite::{OpenError, Readers, StoreError, Writer, WriterThread, open_writer};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use contacts::{Brought, Judged, Verdict};
pub(crate) use inbox::{Applied, Arrival, Incoming};
pub(crate) use library::{OwnImage, Publication};
pub(crate) use live::{Live, Open};
pub(crate) use messages::{Mail, Me, Wanted};
pub(crate) use operations::Change;
pub(crate) use relearn::Known;
pub(crate) use sending::{Outgoing, delivered};
pub(crate) use views::{Held, OpenView, Taken};

/// Connections for reading: commands read a few rows each.
const READERS: usize = 2;

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// A row does not hold what it must.
    #[error("the database holds a damaged {0}")]
    Damaged(&'static str),
    /// An update does not follow the last one.
    #[error("update {got} came where {expected} was due")]
    Gap {
        /// What came.
        got: Seq,
        /// What was due.
        expected: Seq,
    },
    /// The database belongs to somebody else.
    #[error("the database belongs to peer {0}, not to the identity beside it")]
    Foreign(PeerId),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        let wire = Self::new(Code::Internal, error.to_string());
        match cause {
            Some(cause) => wire.caused_by(cause),
            None => wire,
        }
    }
}

/// What is known of this daemon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    /// Whose database this is, once registered.
    pub peer: Option<PeerId>,
    /// Whether a session is wanted.
    pub wanted_online: bool,
    /// The last update that is stored.
    pub stored: Seq,
    /// Requests of others that wait for an answer.
    pub requests: u64,
    /// What the messages come to.
    pub mail: Mail,
    /// Updates of kinds that this version does not know.
    pub unknown: u64,
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
}

impl Store {
    /// Opens or makes it.
    ///
    /// # Errors
    /// As in [`OpenError`].
    pub(crate) fn open(path: &Path) -> Result<(Self, WriterThread), OpenError> {
        let connection = open_writer(path, &schema::SCHEMA)?;
        let checkpoints = open_writer(path, &schema::SCHEMA)?;
        let (writer, thread) = Writer::start(connection, checkpoints)?;
        Ok((Self { writer, readers: Readers::open(path, READERS)? }, thread))
    }

    /// Whether the writer does its work; takes as long as what waits for it.
    pub(crate) async fn answers(&self) -> bool {
        self.writer.answers().await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.call(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.readers.read(work).await
    }

    /// What is known of this daemon itself.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn own(&self) -> Result<Own, Error> {
        self.read(own).await
    }

    /// Makes the database that of `peer`, online from now on. If the ID was taken back, what the old machine knew is lost
    /// here, whether or not the directory still has updates of it: views are spent without one.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is somebody else's already.
    pub(crate) async fn bind(&self, peer: PeerId, taken_back: bool) -> Result<(), Error> {
        self.write(move |connection| {
            match own(connection)?.peer {
                Some(other) if other != peer => return Err(Error::Foreign(other)),
                _ => {}
            }
            let sql = "UPDATE self SET peer = ?1, wanted_online = 1, lost = max(lost, ?2)";
            execute(connection, sql, params![id(peer), taken_back])?;
            Ok(())
        })
        .await
    }

    /// Remembers whether a session is wanted.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn want_online(&self, wanted: bool) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "UPDATE self SET wanted_online = ?1", params![wanted])?;
            Ok(())
        })
        .await
    }
}

fn own(connection: &Connection) -> Result<Own, Error> {
    let (peer, wanted_online, stored) = connection
        .prepare_cached("SELECT peer, wanted_online, stored_seq FROM self")?
        .query_row([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, row.get::<_, i64>(2)?)))?;
    let peer = peer.map(peer_of).transpose()?;
    Ok(Own {
        peer,
        wanted_online,
        stored: Seq(stored.cast_unsigned()),
        requests: waiting(connection)?,
        mail: messages::mail(connection)?,
        unknown: unknown::count(connection)?,
    })
}

/// How many requests of others, for access and for contact, wait for an answer.
fn waiting(connection: &Connection) -> Result<u64, Error> {
    Ok(asks::count_pending(connection)?.saturating_add(contacts::count_pending(connection)?))
}

fn execute(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// The first row as one value of CBOR, if there is a row.
fn body<T: DeserializeOwned>(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<T>, Error> {
    let bytes: Option<Vec<u8>> =
        connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    bytes.map(|bytes| from_blob(what, &bytes)).transpose()
}

/// Every row as a value of CBOR.
fn bodies<T: DeserializeOwned>(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|bytes| from_blob(what, &bytes?)).collect()
}

fn to_blob<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, Error> {
    // A frame is a length of 4 bytes and then the value.
    let frame = frame::to_frame(value).map_err(|_| Error::Damaged(what))?;
    Ok(frame.get(4..).unwrap_or_default().to_vec())
}

fn from_blob<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    frame::decode(bytes).map_err(|_| Error::Damaged(what))
}

fn id(peer: PeerId) -> i64 {
    peer.number().cast_signed()
}

fn peer_of(number: i64) -> Result<PeerId, Error> {
    PeerId::from_number(number.cast_unsigned()).ok_or(Error::Damaged("peer ID"))
}

fn hash_of(bytes: &[u8]) -> Result<SealedHash, Error> {
    <[u8; 32]>::try_from(bytes).map(SealedHash::from).map_err(|_| Error::Damaged("hash"))
}

/// Forgets a sealed copy that nothing needs any more. Returns whether its files may go.
fn release(connection: &Connection, hash: &SealedHash) -> Result<bool, Error> {
    let needed: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM images WHERE hash = ?1)
                 OR EXISTS (SELECT 1 FROM publications WHERE hash = ?1)
                 OR EXISTS (SELECT 1 FROM held WHERE hash = ?1)
                 OR EXISTS (SELECT 1 FROM grants, self
                            WHERE hash = ?1 AND viewer = self.peer AND revoked = 0)",
        )?
        .query_row([hash.as_bytes()], |row| row.get(0))?;
    if !needed {
        execute(connection, "DELETE FROM copies WHERE hash = ?1", [hash.as_bytes()])?;
    }
    Ok(!needed)
}
