//! Who is online: the live sessions, in the order of their IDs. Presence comes from here alone, so a restart leaves no
//! ghost.
//!
//! Tasks that hold sockets and the store's writer meet here. Nothing in here blocks or waits: a session whose queue is
//! full reads what it missed from its inbox.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    ops::Bound,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Code, Instance, PeerId, PeerName, PublicKey, Seq, Timestamp, WireError,
    directory::{Call, Notice, NoticeKind, Presence},
    limits::SESSION_QUEUE_MAX,
    model::{Address, SessionEnd},
};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};

use crate::{
    blocks::{Blocks, Hidden},
    limits::Place,
    presence::Board,
    rules::{BlockChange, refusal::unknown_key},
    store::{Deliver, InboxRow},
};

/// What a session is told from outside.
#[derive(Debug)]
pub enum Push {
    /// A row has been added to the peer's inbox.
    Update(InboxRow),
    /// Somebody says something to everybody: the message as it is sent.
    Broadcast(Arc<[u8]>),
    /// Say this.
    Say(Notice),
    /// Somebody calls through the relay.
    Call(Call),
    /// Ask for a sign of life, and tell how long that took.
    Ping(oneshot::Sender<Duration>),
    /// Say this and hang up.
    Close(Notice),
}

/// A live session, as the rest of the directory sees it.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub peer: PeerId,
    /// The peer's name.
    pub name: Option<PeerName>,
    /// Which run of its daemon.
    pub instance: Instance,
    /// Where others reach the peer, the likeliest first.
    pub addresses: Vec<Address>,
    /// The key that it has proved.
    pub key: PublicKey,
    /// Its place among the sessions of its address.
    _place: Option<Place>,
    queue: mpsc::Sender<Push>,
    latest: AtomicU64,
    progress: watch::Sender<Progress>,
    drops: Counter,
}

/// How far a session has got, for those who wait for that.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The last inbox row that the peer is known to have stored.
    stored: Seq,
    /// From now on nothing that the peer says is heard.
    is_ending: bool,
}

impl Session {
    /// The last row that was added to the inbox, as far as this session was told.
    #[must_use]
    pub fn latest(&self) -> Seq {
        Seq(self.latest.load(Ordering::Acquire))
    }

    /// Notes that the inbox has rows up to this one.
    pub fn note_latest(&self, latest: Seq) {
        self.latest.fetch_max(latest.0, Ordering::AcqRel);
    }

    /// The last row that the peer is known to have stored.
    #[must_use]
    pub fn stored(&self) -> Seq {
        self.progress.borrow().stored
    }

    /// Notes that the peer has stored the rows up to this one.
    pub fn note_stored(&self, stored: Seq) {
        self.progress.send_if_modified(|progress| {
            let is_news = stored > progress.stored;
            progress.stored = progress.stored.max(stored);
            is_news
        });
    }

    /// Notes that the session ends: nobody needs to wait for it any more.
    pub fn note_ending(&self) {
        self.progress.send_modify(|progress| progress.is_ending = true);
    }

    /// Waits until the peer has stored this row; false if the session ends before.
    pub async fn has_stored(&self, seq: Seq) -> bool {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.stored >= seq || progress.is_ending).await;
        reached.is_ok_and(|progress| progress.stored >= seq)
    }

    /// Waits until the session ends.
    pub async fn ending(&self) {
        // An error says that the session is gone, and it cannot be: we hold it.
        drop(self.progress.subscribe().wait_for(|progress| progress.is_ending).await);
    }

    /// Where others reach the peer.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.addresses.first().copied()
    }

    fn presence(&self, online: bool, end: Option<SessionEnd>) -> Presence {
        let address = self.address().filter(|_| online);
        Presence { id: self.peer, name: self.name.clone(), online, address, at: Timestamp::now(), end }
    }

    /// Tells whether the session will see it.
    fn push(&self, push: Push) -> bool {
        if let Push::Update(row) = &push {
            self.note_latest(row.seq);
        }
        match self.queue.try_send(push) {
            Ok(()) => true,
            // A full queue wakes the session anyway, and then it sees that it has missed something.
            Err(TrySendError::Full(_)) => {
                self.drops.inc();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Has the session say this and hang up, and waits until it has ended and that is written down.
    pub async fn end(&self, notice: Notice) {
        // A session whose queue stays full takes nothing any more and ends for that; waiting for its end covers both.
        tokio::select! {
            _ = self.queue.send(Push::Close(notice)) => {}
            () = self.queue.closed() => {}
        }
        self.queue.closed().await;
    }

    /// Tells the peer that somebody calls through the relay; whether it will hear of it.
    #[must_use]
    pub fn call(&self, call: Call) -> bool {
        self.push(Push::Call(call))
    }

    /// How long the peer takes to answer; `None` if the session ends before it does, or has too many pings to do.
    pub async fn ping(&self) -> Option<Duration> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Push::Ping(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// The live sessions.
#[derive(Debug, Default)]
pub struct Hub {
    sessions: RwLock<BTreeMap<PeerId, Arc<Session>>>,
    blocks: Blocks,
    /// Where those who follow others read who came and went. Changed while the sessions are, so that a peer's changes
    /// stand there in their order.
    pub board: Arc<Board>,
    /// What did not fit into a session's queue, so far.
    pub drops: Counter,
}

/// Who comes online.
#[derive(Debug)]
pub struct Arrival {
    /// Which peer.
    pub peer: PeerId,
    /// The peer's name.
    pub name: Option<PeerName>,
    /// Which run of its daemon.
    pub instance: Instance,
    /// Where others reach it, the likeliest first.
    pub addresses: Vec<Address>,
    /// The key that it has proved.
    pub key: PublicKey,
    /// What becomes of another daemon's session.
    pub claim: Claim,
    /// Its place among the sessions of its address, where places are counted.
    pub place: Option<Place>,
}

/// What a daemon that comes online says of another one that is signed in with its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It stays.
    Polite,
    /// It has to go.
    Forced,
    /// Its key was replaced a moment ago: it has to go, and it is told so.
    Recovered,
}

impl Hub {
    /// Makes a peer online. The same daemon coming back takes over silently, another one only by force; the session that
    /// loses is told.
    ///
    /// # Errors
    /// `conflict` if another daemon is signed in as this peer; `not_found` if that one has another key, because this one's
    /// was replaced while it signed in.
    pub fn arrive(&self, arrival: Arrival) -> Result<(Arc<Session>, mpsc::Receiver<Push>), WireError> {
        let (queue, pushes) = mpsc::channel(SESSION_QUEUE_MAX);
        let session = Arc::new(Session {
            peer: arrival.peer,
            name: arrival.name,
            instance: arrival.instance,
            addresses: arrival.addresses,
            key: arrival.key,
            _place: arrival.place,
            queue,
            latest: AtomicU64::new(0),
            progress: watch::Sender::new(Progress { stored: Seq(0), is_ending: false }),
            drops: self.drops.clone(),
        });
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let former = sessions.get(&arrival.peer);
        let (mut is_news, mut end) = (true, None);
        if let Some(old) = former.filter(|old| !old.queue.is_closed()) {
            let same = old.instance == arrival.instance && old.key == arrival.key;
            old.push(Push::Close(match arrival.claim {
                Claim::Recovered if old.key != arrival.key => notice(NoticeKind::Replaced, REPLACED),
                // The live session's key is the newer one: only a recovery changes it.
                _ if old.key != arrival.key => return Err(unknown_key()),
                _ if same => notice(NoticeKind::Superseded, "the same daemon has connected anew"),
                Claim::Polite => {
                    return Err(WireError::new(Code::Conflict, "another daemon is signed in with this ID"));
                }
                _ => notice(NoticeKind::TakenOver, "another daemon has signed in with this ID"),
            }));
            end = (!same).then_some(SessionEnd::TakenOver);
        }
        if let Some(former) = former {
            is_news = former.instance != arrival.instance || former.address() != session.address();
        }
        if is_news {
            self.board.note(|| session.presence(true, end));
        }
        sessions.insert(arrival.peer, Arc::clone(&session));
        Ok((session, pushes))
    }

    /// Makes a peer offline, for this reason, unless a newer session has taken the place of this one. Tells whether it
    /// was so.
    pub fn leave(&self, session: &Arc<Session>, end: SessionEnd) -> bool {
        session.note_ending();
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let is_current = sessions.get(&session.peer).is_some_and(|current| Arc::ptr_eq(current, session));
        if is_current {
            self.board.note(|| session.presence(false, Some(end)));
            sessions.remove(&session.peer);
        }
        is_current
    }

    /// The live session of a peer.
    #[must_use]
    pub fn get(&self, peer: PeerId) -> Option<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&peer).filter(|session| !session.queue.is_closed()).map(Arc::clone)
    }

    /// The live session of a peer, as far as `asker` may know of it.
    #[must_use]
    pub fn get_for(&self, asker: PeerId, peer: PeerId) -> Option<Arc<Session>> {
        if self.hides(peer, asker) { None } else { self.get(peer) }
    }

    /// Whether `blocker` has blocked `from`: then `from` sees nothing of its presence.
    #[must_use]
    pub fn hides(&self, blocker: PeerId, from: PeerId) -> bool {
        self.blocks.hides(blocker, from)
    }

    /// All those who have blocked `asker`.
    #[must_use]
    pub fn hidden_from(&self, asker: PeerId) -> Hidden {
        self.blocks.hidden_from(asker)
    }

    /// The peers online from `from` on, but those who hide, in the order of their IDs, at most `limit`.
    #[must_use]
    pub fn online(&self, hidden: &Hidden, from: Option<PeerId>, limit: usize) -> Vec<PeerId> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        let peers = sessions.range((start, Bound::Unbounded)).map(|(peer, _)| *peer);
        peers.filter(|peer| !hidden.contains(*peer)).take(limit).collect()
    }

    /// The peers that are reached at this address, but those who hide.
    #[must_use]
    pub fn at(&self, hidden: &Hidden, address: Address) -> Vec<PeerId> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions
            .values()
            .filter(|session| session.address() == Some(address))
            .map(|session| session.peer)
            .filter(|peer| !hidden.contains(*peer))
            .collect()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Tells every session to say this, and how many will.
    pub fn say_all(&self, kind: NoticeKind, text: &str) -> u64 {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let told = sessions.values().filter(|session| session.push(Push::Say(notice(kind, text)))).count();
        u64::try_from(told).unwrap_or(u64::MAX)
    }

    /// Passes a broadcast on to everybody but its sender and those who have blocked it, and tells to how many. A session
    /// whose queue is full misses it.
    pub fn broadcast(&self, from: PeerId, frame: &Arc<[u8]>) -> u64 {
        let hidden = self.hidden_from(from);
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let others = sessions.values().filter(|other| other.peer != from && !hidden.contains(other.peer));
        let told = others.filter(|other| other.push(Push::Broadcast(Arc::clone(frame)))).count();
        u64::try_from(told).unwrap_or(u64::MAX)
    }

    /// Tells every session to say this and hang up.
    pub fn close_all(&self, kind: NoticeKind, text: &str) {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        for session in sessions.values() {
            session.push(Push::Close(notice(kind, text)));
        }
    }
}

impl Deliver for Hub {
    fn deliver(&self, rows: Vec<InboxRow>) {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            if let Some(session) = sessions.get(&row.peer) {
                session.push(Push::Update(row));
            }
        }
    }

    fn blocking(&self, change: BlockChange) {
        self.blocks.set(change);
    }
}

/// To a daemon whose key was replaced.
pub(crate) const REPLACED: &str = "this ID was taken back with its password on another machine: the key of this one is not registered any more";

/// Something that peers are told.
pub(crate) fn notice(kind: NoticeKind, text: &str) -> Notice {
    Notice { kind, text: text.into() }
}

/// Where a peer is reached: the address that we see with the port it listens on, then what it announces itself. Nowhere, if
/// it says with port 0 that it cannot be reached.
#[must_use]
pub fn reachable_at(seen: IpAddr, port: u16, announced: Vec<Address>) -> Vec<Address> {
    if port == 0 {
        return Vec::new();
    }
    let mut addresses = vec![Address((seen.to_canonical(), port).into())];
    for address in announced {
        if !addresses.contains(&address) && addresses.len() <= dos_protocol::limits::ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests;
