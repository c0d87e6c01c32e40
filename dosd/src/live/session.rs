//! One session, as its connection's task and the rest of this server share it: a bounded queue towards the task, and how
//! far the peer has stored its inbox.
//!
//! No one waits for room in a queue but the operator's commands: a session whose queue is full reads what it missed from its
//! inbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Instance, PeerId, PeerName, Seq, Timestamp,
    directory::{Call, Notice, Presence, RendezvousCall, Update},
    limits::RENDEZVOUS_BEGIN_MAX,
    link::HostPort,
    model::{Address, SessionEnd},
    node::Resident,
};
use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    arrival::Arrival,
    permit::Permit,
    queue::{Receiver, Rejected, Sender, queue},
};
use crate::rules::{Reach, incarnation::Epoch, seats::Displaced};

/// What a session's task is to do for the rest of the directory.
#[derive(Debug)]
pub enum Push {
    /// Send this row, which was added to the peer's inbox.
    Update(Box<Row>),
    /// Send this broadcast: the message as it is sent.
    Broadcast(Arc<[u8]>),
    /// Send this notice.
    Say(Notice),
    /// Tell the peer where the nodes of the directory are.
    Nodes(Arc<[HostPort]>),
    /// Read the inbox if it has more rows than were pushed.
    Look,
    /// Notify the peer of a call through the relay.
    Call(Call),
    /// Notify the peer of a rendezvous.
    Rendezvous(Box<RendezvousCall>),
    /// Ping the peer, and report how long its answer took.
    Ping(oneshot::Sender<Duration>),
    /// Send this notice and hang up.
    Close(Notice),
}

/// A committed row of a peer's inbox.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// What it says.
    pub update: Update,
}

/// A live session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: PeerId,
    /// It may change while the session lasts.
    name: RwLock<Option<PeerName>>,
    pub(super) instance: Instance,
    /// Where the peer is seen, and where others reach it.
    pub(super) reach: Reach,
    pub(super) since: Timestamp,
    /// The number of its seat among several nodes; 0 while that is not decided, and where there is one node.
    seat: AtomicU64,
    /// The epoch of the data that let it in.
    epoch: AtomicU64,
    /// Whether the store has let it in: until then nobody is told.
    is_settled: AtomicBool,
    /// What stood in its place when it came.
    pub(super) former: Option<Former>,
    /// Given back when the session is dropped.
    _permit: Option<Permit>,
    queue: Sender<Push>,
    latest: AtomicU64,
    progress: watch::Sender<Progress>,
    drops: Counter,
    /// How long its last answer to a ping took, in microseconds; 0 if there was none.
    round_trip_us: AtomicU32,
}

/// What stood in a session's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Former {
    /// Whether followers have nothing new to learn.
    pub(super) is_same: bool,
    /// Why it had to make room, unless it had ended.
    pub(super) displaced: Option<Displaced>,
}

/// How far a session is, for those who wait for that.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The last inbox row that the peer is known to have stored.
    stored: Seq,
    /// No acknowledgement is read any more.
    is_ending: bool,
}

impl Session {
    pub(super) fn new(arrival: Arrival, former: Option<Former>, drops: Counter) -> (Self, Receiver<Push>) {
        let (queue, pushes) = queue();
        let session = Self {
            peer: arrival.peer,
            name: RwLock::new(arrival.name),
            instance: arrival.instance,
            reach: arrival.reach,
            since: Timestamp::now(),
            seat: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            is_settled: AtomicBool::new(false),
            former,
            _permit: arrival.permit,
            queue,
            latest: AtomicU64::new(0),
            progress: watch::Sender::new(Progress { stored: Seq(0), is_ending: false }),
            drops,
            round_trip_us: AtomicU32::new(0),
        };
        (session, pushes)
    }

    /// The peer has another name now.
    pub(super) fn rename(&self, name: &PeerName) {
        *self.name.write() = Some(name.clone());
    }

    pub(super) fn address(&self) -> Option<Address> {
        self.reach.address()
    }

    pub(super) fn presence(&self, online: bool, end: Option<SessionEnd>) -> Presence {
        let address = self.address().filter(|_| online);
        Presence { id: self.peer, name: self.name.read().clone(), online, address, at: Timestamp::now(), end }
    }

    pub(super) fn seat(&self) -> u64 {
        self.seat.load(Ordering::Acquire)
    }

    /// Whether data of an earlier epoch than this has let it in; false before any has.
    pub(super) fn is_before(&self, epoch: Epoch) -> bool {
        self.is_settled() && self.epoch.load(Ordering::Acquire) < epoch.number()
    }

    /// The store has let it in, at this seat and in this epoch.
    pub(super) fn settle(&self, seat: u64, epoch: Epoch) {
        self.seat.store(seat, Ordering::Release);
        self.epoch.store(epoch.number(), Ordering::Release);
        self.is_settled.store(true, Ordering::Release);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// As another node is told of it.
    pub(super) fn resident(&self) -> Resident {
        let port = self.reach.address().map_or(0, |address| address.0.port());
        Resident {
            peer: self.peer,
            name: self.name.read().clone(),
            session: self.seat(),
            instance: self.instance,
            seen: Address((self.reach.seen(), port).into()),
            addresses: self.reach.addresses().to_vec(),
            since: self.since,
            mapped: self.reach.mapped(),
        }
    }

    /// How long the peer took to answer the last ping; if there was none yet, it is pinged now.
    pub(super) async fn round_trip(&self) -> Option<Duration> {
        match self.round_trip_us.load(Ordering::Relaxed) {
            0 => timeout(2 * RENDEZVOUS_BEGIN_MAX, self.ping()).await.ok().flatten(),
            known => Some(Duration::from_micros(known.into())),
        }
    }

    pub(super) fn note_round_trip(&self, round_trip: Duration) {
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX).max(1);
        self.round_trip_us.store(micros, Ordering::Relaxed);
    }

    /// Whether its task has ended; its peer may then still be listed for a moment.
    pub(super) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues this; false if the session will not see it.
    pub(super) fn push(&self, push: Push) -> bool {
        // Before the queue: if that is full, the session still learns that there is a row, and reads it from the store.
        if let Push::Update(row) = &push {
            self.note_latest(row.seq);
        }
        match self.queue.try_send(push) {
            Ok(()) => true,
            // A full queue wakes the session anyway, and then it sees that it has missed something.
            Err((Rejected::Full, _)) => {
                self.drops.inc();
                false
            }
            Err((Rejected::Closed, _)) => false,
        }
    }

    /// Has the session send this and hang up, and waits until it has ended and its end is written down.
    pub(super) async fn close(&self, notice: Notice) {
        // A session whose queue stays full takes nothing any more and ends for that; waiting for its end covers both.
        self.queue.send(Push::Close(notice)).await;
        self.queue.closed().await;
    }

    /// How long the peer takes to answer; `None` if the session ends before it does, or has too many pings in flight.
    pub(super) async fn ping(&self) -> Option<Duration> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Push::Ping(answer)).await;
        answered.await.ok()
    }

    /// For a wait until the peer has stored this row. Holds nothing of the session, so that waiting keeps none alive.
    pub(super) fn storing(&self, seq: Seq) -> impl Future<Output = bool> + use<> {
        let mut progress = self.progress.subscribe();
        async move {
            let reached = progress.wait_for(|progress| progress.stored >= seq || progress.is_ending).await;
            reached.is_ok_and(|progress| progress.stored >= seq)
        }
    }

    /// Whether that is news.
    pub(super) fn note_latest(&self, latest: Seq) -> bool {
        self.latest.fetch_max(latest.0, Ordering::AcqRel) < latest.0
    }

    pub(super) fn note_ending(&self) {
        self.progress.send_modify(|progress| progress.is_ending = true);
    }
}

/// A session as its own connection's task holds it, from its arrival to its end. No one else has one: everything else
/// speaks of peers.
#[derive(Debug)]
pub struct Handle(pub(super) Arc<Session>);

impl Handle {
    /// Whose session it is.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.0.peer
    }

    /// The number of its seat among several nodes.
    #[must_use]
    pub fn seat(&self) -> u64 {
        self.0.seat()
    }

    /// The last row that was added to the inbox, as far as this session was notified.
    #[must_use]
    pub fn latest(&self) -> Seq {
        Seq(self.0.latest.load(Ordering::Acquire))
    }

    /// Notes that the inbox has rows up to this one.
    pub fn note_latest(&self, latest: Seq) {
        self.0.note_latest(latest);
    }

    /// Notes that the peer has stored the rows up to this one.
    pub fn note_stored(&self, stored: Seq) {
        self.0.progress.send_if_modified(|progress| {
            let is_news = stored > progress.stored;
            progress.stored = progress.stored.max(stored);
            is_news
        });
    }

    /// Notes that no acknowledgement is read any more, so that no one waits for one: neither those who wait for this peer
    /// nor this session's own requests, which it finishes before it ends.
    pub fn note_ending(&self) {
        self.0.note_ending();
    }

    /// Notes how long the peer took to answer a ping.
    pub fn note_round_trip(&self, round_trip: Duration) {
        self.0.note_round_trip(round_trip);
    }

    /// The caller of a request that was read now.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let progress = self.0.progress.subscribe();
        let stored = progress.borrow().stored;
        Caller { peer: self.peer(), stored, ending: Ending(progress) }
    }
}

/// A peer that makes a request, as of when it was read.
#[derive(Debug)]
pub struct Caller {
    /// The peer.
    pub peer: PeerId,
    /// The last inbox row that it was known to have stored.
    pub stored: Seq,
    /// The end of the session that the request came from.
    pub ending: Ending,
}

/// The end of a session, to wait for.
#[derive(Debug)]
pub struct Ending(watch::Receiver<Progress>);

impl Ending {
    /// Waits until the session ends.
    pub async fn wait(&self) {
        // An error says that the session is gone, which is an end as well.
        drop(self.0.clone().wait_for(|progress| progress.is_ending).await);
    }
}
