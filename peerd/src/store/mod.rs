//! What must outlast the process, in SQLite. The only part of peerd that names rusqlite.
//!
//! What always holds: a method that writes is one transaction, durable when it returns. It loads a state, calls a rule of
//! [`crate::rules`], and saves what the rule answers; it decides nothing itself. What is stored has types and versions of its
//! own ([`stored`]). Secrets pass through sealed by the vault, never in the clear. Nothing here touches a socket or a sealed
//! file; methods that make files superfluous return their hashes.

mod albums;
mod asserting;
mod blocks;
mod contacted;
mod contacts;
mod followed;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grants;
mod groups;
mod inbox;
mod invitations;
mod joined;
mod library;
mod live;
mod meeting;
mod messages;
mod news;
mod notes;
mod operations;
mod page;
mod pins;
mod relearn;
mod requests;
mod schema;
mod seen;
mod sending;
mod stored;
mod time;
mod unknown;
mod views;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use dos_protocol::{Code, PeerId, SealedHash, Seq, Timestamp, WireError, control::Note};
use dos_sqlite::{OpenError, Readers, StoreError, Writer, WriterThread, open_writer};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::{clock::Clock, rules::grants::Needs};

pub(crate) use albums::{Due, RuleSet, Settled};
pub(crate) use asserting::{Asserting, Claim, Unsure};
pub(crate) use contacted::Offers;
pub(crate) use contacts::{Direct, Received, Verdict};
pub(crate) use followed::Happened;
pub(crate) use groups::GroupChanged;
pub(crate) use inbox::{Applied, Arrival, Heard, Incoming};
pub(crate) use invitations::{NewGrant, NewInvitation, NotMade, PendingAnswer, Promise};
pub(crate) use joined::{Joined, Joining};
pub(crate) use library::{OwnImage, Publication};
pub(crate) use live::{Live, Open};
pub(crate) use meeting::{Attempting, Met};
pub(crate) use messages::{Mail, Me, Wanted};
pub(crate) use operations::Change;
pub(crate) use pins::{Compared, Pin, Told};
pub(crate) use relearn::Inventory;
pub(crate) use seen::SeenImage;
pub(crate) use sending::{Outgoing, delivered};
pub(crate) use views::{Held, Started};

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
    /// The database belongs to another peer.
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Messages that were refused.
    pub refused: u64,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    writer: Writer,
    readers: Readers,
    /// How many updates of unknown kinds there are: `status` is answered without reading the database.
    unknown: Arc<AtomicU64>,
    /// What strangers offer, likewise.
    offers: Arc<Offers>,
    /// How much `news` has to show, likewise.
    news: Arc<AtomicU64>,
    /// Counts changes of the blocks, for those who wait for one.
    blocking: Arc<watch::Sender<u64>>,
    /// The directory's time, of which this keeps what was heard.
    clock: Arc<Clock>,
}

impl Store {
    /// Opens or makes it. Stored updates that were of an unknown kind when they came, and that this version knows, take effect.
    ///
    /// # Errors
    /// As in [`OpenError`].
    pub(crate) fn open(path: &Path) -> Result<(Self, WriterThread), OpenError> {
        let mut connection = open_writer(path, &schema::SCHEMA)?;
        let unknown = Arc::new(AtomicU64::new(unknown::apply_known(&mut connection)?));
        let clock = Arc::new(Clock::new(time::heard(&connection)?));
        let checkpoints = open_writer(path, &schema::SCHEMA)?;
        let (writer, thread) = Writer::start(connection, checkpoints)?;
        Ok((
            Self {
                writer,
                readers: Readers::open(path, READERS)?,
                unknown,
                offers: Arc::default(),
                news: Arc::default(),
                blocking: Arc::default(),
                clock,
            },
            thread,
        ))
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

    /// Makes the database that of `peer`, online from now on. If its key came with its password, what the other machine knows is
    /// lost here, whether or not the directory still has updates of it: views are spent without one.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is another peer's already.
    pub(crate) async fn bind(&self, peer: PeerId, taken_back: bool) -> Result<(), Error> {
        self.write(move |connection| {
            match own(connection)?.peer {
                Some(other) if other != peer => return Err(Error::Foreign(other)),
                _ => {}
            }
            let sql =
                "UPDATE self SET peer = ?1, wanted_online = 1, offline_because = NULL, lost = max(lost, ?2)";
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
            let sql = "UPDATE self SET wanted_online = ?1, offline_because = NULL";
            execute(connection, sql, params![wanted])?;
            Ok(())
        })
        .await
    }

    /// Remembers that no session is wanted, and why, where that is not the user's wish: another machine is this peer now. What
    /// it does there is not known here, and not all of it comes as an update: views are spent without one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn stay_offline(&self, because: Option<Box<str>>) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE self SET wanted_online = 0, lost = 1, offline_because = ?1";
            execute(connection, sql, params![because])?;
            Ok(())
        })
        .await
    }

    /// Why no session is wanted, if that was not the user's wish.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn offline_because(&self) -> Result<Option<Box<str>>, Error> {
        self.read(|connection| {
            Ok(connection.query_row("SELECT offline_because FROM self", [], |row| row.get(0))?)
        })
        .await
    }
}

fn own(connection: &Connection) -> Result<Own, Error> {
    let (peer, wanted_online, stored, refused) = connection
        .prepare_cached("SELECT peer, wanted_online, stored_seq, refused FROM self")?
        .query_row([], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        })?;
    let peer = peer.map(peer_of).transpose()?;
    Ok(Own {
        peer,
        wanted_online,
        stored: Seq(stored.cast_unsigned()),
        requests: waiting(connection)?,
        mail: messages::mail(connection)?,
        unknown: unknown::count(connection)?,
        refused: refused.cast_unsigned(),
        notes: notes::all(connection, Timestamp::now())?,
    })
}

/// How many requests of others, for access and for contact, wait for an answer.
fn waiting(connection: &Connection) -> Result<u64, Error> {
    Ok(requests::count_pending(connection)?.saturating_add(contacts::count_pending(connection)?))
}

fn execute(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize, Error> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
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
    let needs = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM images WHERE hash = ?1),
                    EXISTS (SELECT 1 FROM publications WHERE hash = ?1),
                    EXISTS (SELECT 1 FROM held WHERE hash = ?1),
                    EXISTS (SELECT 1 FROM grants, self
                            WHERE hash = ?1 AND viewer = self.peer AND revoked = 0)",
        )?
        .query_row([hash.as_bytes()], |row| {
            Ok(Needs { image: row.get(0)?, publication: row.get(1)?, held: row.get(2)?, grant: row.get(3)? })
        })?;
    if needs.none() {
        execute(connection, "DELETE FROM copies WHERE hash = ?1", [hash.as_bytes()])?;
    }
    Ok(needs.none())
}
