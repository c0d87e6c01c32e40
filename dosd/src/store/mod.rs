//! Everything the directory remembers. One method is one operation is one transaction; nothing here knows sessions.
//!
//! An operation loads what a rule needs, calls the rule, and saves what comes out; it decides nothing itself. A change and what it
//! makes the directory owe to peers are committed together. After the commit, before the answer, the rows are handed to the
//! [`Deliver`]: those of one operation in their order. Operations that have a peer in common are done one after the other; what each decides
//! on is its scope (`scope.rs`).

mod audit;
mod back;
mod backup;
mod blocks;
mod check;
mod done;
mod followed;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grants;
mod greetings;
mod healing;
mod hiding;
mod identity;
mod images;
mod inbox;
mod incarnation;
mod invites;
mod listing;
mod lockouts;
mod messages;
mod names;
mod nodes;
mod operator;
mod passwords;
mod peers;
mod prune;
mod requests;
mod restore;
mod row;
mod schema;
mod scope;
mod set;
mod space;
mod stats;
mod stored;
mod transfer;
mod views;
mod withheld;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, atomic::AtomicU64},
};

use dos_protocol::{
    OperationId, PeerId, Seq, Timestamp, WireError,
    directory::{FromDirectory, PeerChange, PeerNews, Update},
    frame::{self, FrameError},
    node::NodeId,
};
use dos_sql::{
    self as sql, Connection, Lanes, OpenError, PostgresError, Readers, Scope, Server, Session, Sessions,
    StoreError, Writer, WriterStats, WriterThread, off_the_runtime,
};

use self::{
    scope::Owners,
    space::{Room, SpaceMeter},
    stored::{Answered, StoredError},
};
use crate::rules::{Act, BlockChange, Quotas};

pub use crate::rules::{
    Admission, Wanted,
    names::{NewPeer, PeerRecord},
};
pub(crate) use back::move_back;
pub use check::check;
pub(crate) use check::check_server;
pub(crate) use identity::{remembered, remembered_by};
pub use incarnation::{Arrival, Entered};
pub use invites::{NewInvite, PeerInvite};
pub use listing::{Filter, PageQuery, Peers};
pub use messages::AcceptedMessage;
pub(crate) use nodes::{BEAT, SEATS};
pub use nodes::{Joining, NodeRow, SeatRow, Taken};
pub use operator::{Acted, TakenDown};
pub use passwords::Login;
pub use prune::{Forgotten, ReceiptsStep};
pub use restore::restore;
pub use space::Looked;
pub use stats::Counts;
pub(crate) use transfer::{leap, migrate, move_to};
pub use views::Counted;

/// An update that was just committed to a peer's inbox.
#[derive(Debug, Clone)]
pub struct InboxRow {
    /// The peer that it is owed to.
    pub peer: PeerId,
    /// Its place in the inbox.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// What it says.
    pub update: Update,
    /// Where the peer's session is, among several nodes.
    pub node: Option<NodeId>,
}

impl InboxRow {
    /// The row as it is sent.
    ///
    /// # Errors
    /// If it does not fit a frame, which no update that the directory makes does.
    pub fn frame(self) -> Result<Vec<u8>, FrameError> {
        frame::to_frame(&FromDirectory::Update { seq: self.seq, at: self.at, update: self.update })
    }
}

/// Gets rows and blocks as soon as they are committed. Called on the writer's threads: must not block.
pub trait Deliver: Send + Sync + 'static {
    /// With a store in a file in the order of the transactions; on database servers a row of a peer may come before an older one.
    fn deliver(&self, rows: Vec<InboxRow>);
    /// A block was made or lifted; in the order of the transactions, before what that makes the directory owe. When the
    /// store is opened, every block that stands.
    fn blocking(&self, change: BlockChange);
    /// A peer has done something that those who follow it get; after the rows of the same transaction.
    fn news(&self, news: PeerNews, except: Vec<PeerId>);
}

/// Why an operation was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The caller wants what is not there or not allowed.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sql::Error> for Refusal {
    fn from(error: sql::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        sql::Error::from(error).into()
    }
}

impl From<dos_sqlite::StoreError> for Refusal {
    fn from(error: dos_sqlite::StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<StoredError> for Refusal {
    fn from(error: StoredError) -> Self {
        sql::Error::Value(Box::new(error)).into()
    }
}

/// The peer that changes something, when, and as which operation.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// The peer.
    pub peer: PeerId,
    /// The same one again is not done again and is answered the same.
    pub operation: Option<OperationId>,
    /// The moment.
    pub now: Timestamp,
    /// What the peer does, as far as it concerns others: by that, blocks decide what they are told.
    pub act: Act,
}

impl Change {
    /// A change that is not meant to be asked again, and of which blocks keep nothing from others.
    #[must_use]
    pub fn by(peer: PeerId, now: Timestamp) -> Self {
        Self { peer, operation: None, now, act: Act::Own }
    }
}

/// The answer to a change, and what is to be delivered after its commit.
struct Changed<T> {
    value: T,
    rows: Vec<InboxRow>,
    block: Option<BlockChange>,
    /// For those who follow the peer, without those to whom the rows are owed.
    news: Option<PeerNews>,
}

impl<T> Changed<T> {
    fn owing(value: T, rows: Vec<InboxRow>) -> Self {
        Self { value, rows, block: None, news: None }
    }

    /// With this for those who follow the peer, if it is something.
    fn telling(self, peer: PeerId, what: Option<PeerChange>, at: Timestamp) -> Self {
        Self { news: what.map(|what| PeerNews { peer, at, what }), ..self }
    }
}

impl<T> From<T> for Changed<T> {
    fn from(value: T) -> Self {
        Self::owing(value, Vec::new())
    }
}

/// Where the data is.
#[derive(Debug, Clone)]
enum Place {
    /// In this file.
    File(PathBuf),
    /// On these servers.
    Servers(Server),
}

/// Why the store on database servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Another server uses it.
    #[error(
        "the dosd at {0} uses this store: several that share one are nodes of one directory, each started with --cluster"
    )]
    InUse(Box<str>),
    /// There is no randomness.
    #[error("the system gives no randomness")]
    Random(#[from] dos_protocol::key::SecretError),
}

impl From<sql::Error> for ConnectError {
    fn from(error: sql::Error) -> Self {
        Self::Open(error.into())
    }
}

impl From<PostgresError> for ConnectError {
    fn from(error: PostgresError) -> Self {
        Self::Open(error.into())
    }
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Readers,
    deliver: Arc<dyn Deliver>,
    place: Place,
    quotas: Arc<RwLock<Quotas>>,
    space: Arc<SpaceMeter>,
    owners: Arc<Owners>,
    /// This run of this server among the nodes of the directory; 0 where nobody else can be.
    node: Arc<AtomicU64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("stats", &self.writer.stats()).finish_non_exhaustive()
    }
}

/// Reading connections: as many as cores are worth using on a small server.
const READERS: usize = 4;

/// Reading connections to another machine, where most of a read is waiting.
const REMOTE_READERS: usize = 8;

impl Store {
    /// Opens the database at `path`, makes it if it is missing, brings it up to date.
    ///
    /// # Errors
    /// As in [`OpenError`].
    pub fn open(path: &Path, deliver: Arc<dyn Deliver>) -> Result<(Self, WriterThread), OpenError> {
        let writing = dos_sqlite::open_writer(path, &schema::SCHEMA)?;
        images::hash_previews(&Connection::Sqlite(&writing))?;
        let checkpoints = dos_sqlite::open_writer(path, &schema::SCHEMA)?;
        blocks::deliver_all(&Connection::Sqlite(&writing), &*deliver)?;
        let (writer, thread) = dos_sqlite::Writer::start_watching(writing, checkpoints, path)?;
        let readers = Readers::Sqlite(dos_sqlite::Readers::open(path, READERS)?);
        let (quotas, space) = (Arc::default(), Arc::new(SpaceMeter::of(path)));
        let (writer, place) = (Writer::Sqlite(writer), Place::File(path.to_owned()));
        let (owners, node) = (Arc::default(), Arc::default());
        let store = Self { writer, readers, deliver, place, quotas, space, owners, node };
        Ok((store, WriterThread::Sqlite(thread)))
    }

    /// Opens the database on these servers, makes its tables if they are missing, brings them up to date. Blocks meanwhile.
    ///
    /// # Errors
    /// As in [`OpenError`], of which [`OpenError::NotDurable`] says that what the servers confirm may be lost with the power;
    /// [`ConnectError::InUse`] if another server uses it, and one of the two is no node of several.
    pub fn connect(
        server: &Server,
        joining: &Joining,
        deliver: Arc<dyn Deliver>,
    ) -> Result<(Self, WriterThread), ConnectError> {
        off_the_runtime(|| Self::connect_here(server, joining, deliver))
    }

    fn connect_here(
        server: &Server,
        joining: &Joining,
        deliver: Arc<dyn Deliver>,
    ) -> Result<(Self, WriterThread), ConnectError> {
        let session = Session::open_patient(server)?;
        let durability = session.durability();
        if !durability.is_on_disk() {
            return Err(OpenError::NotDurable(durability.clone()).into());
        }
        if !durability.is_on_two() {
            tracing::warn!(
                host = session.host(),
                "what the database server confirms is on its disk alone: losing it loses what was confirmed"
            );
        }
        schema::POSTGRES.apply(&session)?;
        let node = nodes::enter(&session, joining)?;
        blocks::deliver_all(&Connection::Postgres(&session), &*deliver)?;
        let (lanes, threads) = Lanes::start(server, Session::open(server)?, scope::SEATS_OF)?;
        let readers = Readers::Postgres(Sessions::new(server.clone(), REMOTE_READERS));
        let (quotas, space) = (Arc::default(), Arc::new(SpaceMeter::elsewhere()));
        let (writer, place) = (Writer::Postgres(lanes), Place::Servers(server.clone()));
        let (owners, node) = (Arc::default(), Arc::new(node.number().into()));
        let store = Self { writer, readers, deliver, place, quotas, space, owners, node };
        Ok((store, WriterThread::Postgres(threads)))
    }

    /// Puts other quotas in force.
    pub fn set_quotas(&self, quotas: Quotas) {
        *self.quotas.write().unwrap_or_else(PoisonError::into_inner) = quotas;
    }

    fn quotas(&self) -> Quotas {
        *self.quotas.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an operation that makes the data grow asks for room.
    fn room(&self) -> Room {
        Room { quotas: self.quotas(), space: Arc::clone(&self.space) }
    }

    /// How much was written since the start.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Waits until the database's files are gone, and tells which one; for ever while they stay.
    pub async fn gone(&self) -> PathBuf {
        self.writer.gone().await
    }

    /// Whether the writer does its work; takes as long as what waits for it.
    pub async fn answers(&self) -> bool {
        self.writer.answers().await
    }

    /// Whether the store takes writes. With SQLite it does as long as its writer works.
    pub async fn is_writable(&self) -> bool {
        self.change_in(Scope::Keys(Vec::new()), |_| Ok(().into())).await.is_ok()
    }

    /// An operation that decides on anything: no other one runs meanwhile.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        self.change_in(Scope::Whole, work).await
    }

    async fn change_in<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        let deliver = Arc::clone(&self.deliver);
        let then = move |changed: &mut Changed<T>| {
            if let Some(block) = changed.block {
                deliver.blocking(block);
            }
            // Of a peer that leaves, the rows tell what became of its images and grants.
            let is_told = |news: &PeerNews| news.what != PeerChange::Left;
            let except = changed.news.as_ref().filter(|news| is_told(news));
            let except = except.map(|_| changed.rows.iter().map(|row| row.peer).collect());
            if !changed.rows.is_empty() {
                deliver.deliver(std::mem::take(&mut changed.rows));
            }
            if let Some(news) = changed.news.take() {
                deliver.news(news, except.unwrap_or_default());
            }
        };
        self.writer.call_then(scope, work, then).await.map(|changed| changed.value)
    }

    /// As [`Store::change`], once per operation ID: again it is not done again and gets the same answer.
    async fn change_once<T: Answered + Send + 'static>(
        &self,
        change: Change,
        work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        self.change_once_in(Scope::Whole, change, work).await
    }

    async fn change_once_in<T: Answered + Send + 'static>(
        &self,
        scope: Scope,
        change: Change,
        work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        self.change_in(scope, move |connection| done::once(connection, change, work)).await
    }

    /// For a few rows by their keys.
    async fn read_brief<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        self.readers.read_brief(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal> + Clone + Send + 'static,
    ) -> Result<T, Refusal> {
        self.readers.read(work).await
    }
}

/// The next number of a sequence that never repeats one.
fn next_number(connection: &Connection, counter: &str) -> sql::Result<u64> {
    let mut statement =
        connection.prepare("UPDATE counters SET last = last + 1 WHERE name = ?1 RETURNING last")?;
    statement.query_row([counter], |row| row::unsigned(row, 0))
}

#[cfg(test)]
mod tests;
