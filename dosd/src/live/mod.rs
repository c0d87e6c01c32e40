//! The sessions of this server, and what it knows of those of other nodes, in terms of peers: who is online, what reaches them, who hides from whom, and the calls that
//! are relayed between them.
//!
//! Everyone but a connection's own task speaks of peers, never of sessions, because a peer's session may be replaced at any
//! moment, and among several nodes be at another one. Presence comes from the sessions alone, so a restart leaves no ghost.
//! Tasks that hold sockets and the store's writer meet here: nothing in here blocks.

mod arrival;
mod blocks;
mod elsewhere;
mod followers;
mod nodes;
mod permit;
mod presence;
mod queue;
pub mod relay;
mod rendezvous;
mod session;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    PeerId, PeerName, Seq, Timestamp, WireError,
    directory::{Call, FromDirectory, Notice, NoticeKind, PeerNews, Subscription},
    frame,
    limits::NEWS_EXCEPT_MAX,
    model::{Address, SessionEnd},
    node::{Ask, Blocking, NodeId, Owed, ToNode, Told},
    scope::canonical,
};
use parking_lot::{RwLock, RwLockReadGuard};
use prometheus_client::metrics::counter::Counter;

pub(crate) use self::elsewhere::{Parcel, WayEnd};
pub use self::{
    arrival::{Arrival, ArrivalError},
    blocks::Hidden,
    permit::Permit,
    presence::Follower,
    queue::Receiver,
    session::{Caller, Ending, Handle, Push, Row},
};
use self::{
    blocks::Blocks,
    elsewhere::{Elsewhere, count_of},
    followers::Followers,
    permit::Permits,
    presence::PresenceLog,
    relay::Relay,
    session::{Former, Session},
};
use crate::rules::{
    Act, BlockChange, Reach,
    blocks::across::{self, Between, Outcome},
    seats::Displaced,
};
pub use crate::rules::{incarnation::Epoch, seats::Claim};

/// To the peers whose sessions end since the data is in another incarnation: they come back by themselves and meet it.
pub(crate) const OLDER: &str =
    "the directory's data was put back from an older copy: it learns again what its peers know";

type Sessions = BTreeMap<PeerId, Arc<Session>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Live {
    sessions: RwLock<Sessions>,
    permits: Permits,
    blocks: Blocks,
    /// The sessions of other nodes. Locked after `sessions`, where both are.
    elsewhere: Elsewhere,
    /// Written while `sessions` is locked, so that a peer's changes stand in it in their order.
    presence: Arc<PresenceLog>,
    followers: Followers,
    /// Connections between peers that cannot reach each other.
    pub relay: Relay,
    queue_drops: Counter,
    /// The latest epoch of the data that this node has met.
    epoch: AtomicU64,
}

/// A peer that is online.
#[derive(Debug, Clone)]
pub struct Online {
    /// Where it is seen, and where others reach it.
    pub reach: Reach,
    /// When its session began.
    pub since: Timestamp,
}

impl Live {
    /// A permit for another session of an address, if it has fewer than `most`.
    #[must_use]
    pub fn permit(&self, address: IpAddr, most: u32) -> Option<Permit> {
        self.permits.take(address, most)
    }

    /// Takes the place of a peer's session. The same daemon coming back takes over silently, another one only by force; the session
    /// that loses is notified. From here on rows reach the new one; others are told when the store has let it in
    /// ([`Live::settle`]).
    ///
    /// # Errors
    /// As in [`ArrivalError`]: the session that the peer has already stays.
    pub fn arrive(&self, arrival: Arrival) -> Result<(Handle, Receiver<Push>), ArrivalError> {
        let mut sessions = self.sessions.write();
        let former = match sessions.get(&arrival.peer) {
            None => None,
            Some(former) => {
                // Of a session that has ended there is no one to take over from, though its peer has not gone offline yet.
                let displaced =
                    if former.has_ended() { None } else { Some(arrival::take_over(former, &arrival)?) };
                if let Some(displaced) = displaced {
                    former.push(Push::Close(arrival::farewell(displaced)));
                }
                let is_same = former.instance == arrival.instance
                    && former.address() == arrival.reach.address()
                    && former.is_settled();
                Some(Former { is_same, displaced })
            }
        };
        let (session, pushes) = Session::new(arrival, former, self.queue_drops.clone());
        let session = Arc::new(session);
        self.followers.forget(session.peer);
        sessions.insert(session.peer, Arc::clone(&session));
        Ok((Handle(session), pushes))
    }

    /// The store has let a session in, at this seat among several nodes and in this epoch of the data: its peer is online from now on.
    pub fn settle(&self, Handle(session): &Handle, seat: u64, epoch: Epoch) {
        self.meet(epoch);
        let sessions = self.sessions.write();
        session.settle(seat, epoch);
        if session.is_before(Epoch::from_number(self.epoch.load(Ordering::Acquire))) {
            session.push(Push::Close(notice(NoticeKind::Shutdown, OLDER)));
        }
        if !sessions.get(&session.peer).is_some_and(|current| Arc::ptr_eq(current, session)) {
            return;
        }
        let away = self.elsewhere.remove(session.peer);
        let (mut is_same, mut displaced) =
            session.former.map_or((false, None), |former| (former.is_same, former.displaced));
        if let Some(away) = away {
            is_same = away.instance == session.instance && away.online.reach.address() == session.address();
            displaced = (away.instance != session.instance).then_some(Displaced::ByOther);
        }
        if !is_same {
            let end = displaced.filter(|displaced| *displaced == Displaced::ByOther);
            self.presence.note(|| session.presence(true, end.map(|_| SessionEnd::TakenOver)));
        }
        if seat > 0 {
            self.elsewhere.tell_all(&ToNode::Arrived(Box::new(session.resident())));
        }
    }

    /// Makes the peer of a session offline, for this reason, unless a newer session has taken the place of this one. Tells
    /// whether the peer has no session here now.
    pub fn leave(&self, Handle(session): &Handle, end: SessionEnd) -> bool {
        session.note_ending();
        let mut sessions = self.sessions.write();
        let is_current = sessions.get(&session.peer).is_some_and(|current| Arc::ptr_eq(current, session));
        if is_current {
            // One that the store has not let in was nobody's news, but what it had displaced was.
            let was_told = session.is_settled() || session.former.is_some();
            if was_told && !self.elsewhere.has(session.peer) {
                self.presence.note(|| session.presence(false, Some(end)));
            }
            sessions.remove(&session.peer);
            self.followers.forget(session.peer);
            if session.seat() > 0 {
                let (peer, session) = (session.peer, session.seat());
                self.elsewhere.tell_all(&ToNode::Left {
                    peer,
                    session,
                    at: Timestamp::now(),
                    end: Some(end),
                });
            }
        }
        is_current
    }

    /// A peer has another name: those who follow it get that, if it is online.
    pub(crate) fn rename(&self, peer: PeerId, name: &PeerName) {
        // Under the lock that whoever ends it takes: nothing is noted of it after its end.
        if let Some(session) = self.sessions().get(&peer).filter(|session| !session.has_ended()) {
            session.rename(name);
            self.presence.note(|| session.presence(true, None));
            if session.seat() > 0 {
                self.elsewhere.tell_all(&ToNode::Arrived(Box::new(session.resident())));
            }
        }
    }

    fn sessions(&self) -> RwLockReadGuard<'_, Sessions> {
        self.sessions.read()
    }

    fn session(&self, peer: PeerId) -> Option<Arc<Session>> {
        self.sessions().get(&peer).filter(|session| !session.has_ended()).map(Arc::clone)
    }

    /// Whether a peer is online.
    #[must_use]
    pub fn is_online(&self, peer: PeerId) -> bool {
        self.sessions().get(&peer).is_some_and(|session| !session.has_ended()) || self.elsewhere.has(peer)
    }

    /// Where a peer is, if it is online.
    #[must_use]
    pub fn presence_of(&self, peer: PeerId) -> Option<Online> {
        let sessions = self.sessions();
        match sessions.get(&peer).filter(|session| !session.has_ended()) {
            Some(session) => Some(Online { reach: session.reach.clone(), since: session.since }),
            None => self.elsewhere.get(peer).map(|away| away.online),
        }
    }

    /// The same, as far as `viewer` may know.
    #[must_use]
    pub fn presence_for(&self, viewer: PeerId, peer: PeerId) -> Option<Online> {
        if self.hides(peer, viewer) { None } else { self.presence_of(peer) }
    }

    /// Whether `blocker` has blocked `from`: then `from` sees nothing of its presence.
    #[must_use]
    pub fn hides(&self, blocker: PeerId, from: PeerId) -> bool {
        self.blocks.hides(blocker, from)
    }

    /// The blocks between a peer that acts and another one.
    pub(crate) fn between(&self, actor: PeerId, other: PeerId) -> Between {
        self.blocks.between(actor, other)
    }

    /// All peers that have blocked `viewer`.
    #[must_use]
    pub fn hidden_from(&self, viewer: PeerId) -> Hidden {
        self.blocks.hidden_from(viewer)
    }

    /// Applies a block that was made or removed. Calls of a peer to one that blocks it end.
    pub fn set_block(&self, change: BlockChange) {
        self.note_block(change);
        let BlockChange { blocker, blocked, is_on } = change;
        self.elsewhere.tell_all(&ToNode::Block(Blocking { blocker, blocked, is_on }));
    }

    /// A block that was made or removed, here or at another node.
    pub(crate) fn note_block(&self, change: BlockChange) {
        self.blocks.set(change);
        if change.is_on {
            self.relay.hang_up(change.blocked, change.blocker);
        }
    }

    /// The peers online from `from` on, without those who hide, in the order of their IDs, at most `limit`.
    #[must_use]
    pub fn online(&self, hidden: &Hidden, from: Option<PeerId>, limit: usize) -> Vec<PeerId> {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        let sessions = self.sessions();
        let peers = sessions.range((start, Bound::Unbounded)).map(|(peer, _)| *peer);
        let mut online: Vec<PeerId> = peers.filter(|peer| !hidden.contains(*peer)).take(limit).collect();
        self.elsewhere.with(|board| {
            let away = board.range((start, Bound::Unbounded)).map(|(peer, _)| *peer);
            online.extend(
                away.filter(|peer| !hidden.contains(*peer) && !sessions.contains_key(peer)).take(limit),
            );
        });
        online.sort_unstable();
        online.truncate(limit);
        online
    }

    /// The peers that are known by this address, without those who hide. What a peer announces counts for nothing: it could
    /// announce the address of another.
    #[must_use]
    pub fn at(&self, hidden: &Hidden, address: Address) -> Vec<PeerId> {
        let address = canonical(address);
        let sessions = self.sessions();
        let here = sessions.values().filter(|session| session.address() == Some(address));
        let mut peers: Vec<PeerId> = here.map(|session| session.peer).collect();
        self.elsewhere.with(|board| {
            let away = board.iter().filter(|(_, away)| away.online.reach.address() == Some(address));
            peers.extend(away.map(|(peer, _)| *peer).filter(|peer| !sessions.contains_key(peer)));
        });
        peers.retain(|peer| !hidden.contains(*peer));
        peers
    }

    /// How many sessions this server has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    /// Counts what did not fit into a session's queue.
    #[must_use]
    pub fn queue_drops(&self) -> &Counter {
        &self.queue_drops
    }

    /// Follows the presence of other peers from now on, for the session of `peer`; `None` for a subscription to no one.
    ///
    /// # Errors
    /// `invalid` if it names too many peers.
    pub fn follow(&self, peer: PeerId, subscription: Subscription) -> Result<Option<Follower>, WireError> {
        self.presence.follow(peer, subscription)
    }

    /// The session of `peer` gets what these do from now on.
    pub(crate) fn follow_peers(&self, peer: PeerId, peers: Vec<PeerId>) {
        // Under the lock that whoever ends it takes: nothing stays of it after its end.
        if self.sessions().get(&peer).is_some_and(|session| !session.has_ended()) {
            self.followers.set(peer, peers);
        }
    }

    /// Passes on what a peer has done, to those who follow it, here and at other nodes, without those that are owed an update of it.
    pub(crate) fn tell_news(&self, news: PeerNews, mut except: Vec<PeerId>) {
        self.tell_news_here(&news, &except);
        except.truncate(NEWS_EXCEPT_MAX);
        self.elsewhere.tell_all(&ToNode::News { news: Box::new(news), except });
    }

    /// The same to those of this server. From whom the peer hides gets nothing; a session whose queue is full misses it.
    pub(crate) fn tell_news_here(&self, news: &PeerNews, except: &[PeerId]) {
        let followers = self.followers.of(news.peer);
        if followers.is_empty() {
            return;
        }
        let Ok(frame) = frame::to_frame(&FromDirectory::PeerNews(Box::new(news.clone()))) else { return };
        let frame: Arc<[u8]> = frame.into();
        let sessions = self.sessions();
        for follower in followers {
            if !except.contains(&follower)
                && !self.hides(news.peer, follower)
                && let Some(session) = sessions.get(&follower)
            {
                session.push(Push::Broadcast(Arc::clone(&frame)));
            }
        }
    }

    /// Hands rows that were committed to the peers that are online, here or at the node that the store names. Those of one peer come
    /// in the order of their numbers.
    pub fn push(&self, rows: impl IntoIterator<Item = (PeerId, Row, Option<NodeId>)>) {
        let sessions = self.sessions();
        for (peer, row, node) in rows {
            if let Some(node) = node {
                self.elsewhere.tell(node, || {
                    let Row { seq, at, update } = row.clone();
                    ToNode::Update(Box::new(Owed { peer, seq, at, update }))
                });
            }
            if let Some(session) = sessions.get(&peer) {
                session.push(Push::Update(Box::new(row)));
            }
        }
    }

    /// Waits until a peer has stored this row; false if it is offline, or its session ends before.
    pub async fn has_stored(&self, peer: PeerId, seq: Seq) -> bool {
        if let Some(storing) = self.session(peer).map(|session| session.storing(seq)) {
            return storing.await;
        }
        let Some(away) = self.elsewhere.get(peer) else { return false };
        self.elsewhere.ask(away.node, Ask::Stored { peer, seq }).await == Some(Told::Done(true))
    }

    /// Notifies a peer of a call through the relay; false if it will not receive that.
    pub async fn call(&self, peer: PeerId, call: Call) -> bool {
        if let Some(session) = self.session(peer) {
            return session.push(Push::Call(call));
        }
        let Some(away) = self.elsewhere.get(peer) else { return false };
        self.elsewhere.ask(away.node, Ask::Call { peer, call }).await == Some(Told::Done(true))
    }

    /// How long a peer takes to answer; `None` if it is offline, goes offline before it does, or has too many pings in
    /// flight.
    pub async fn ping(&self, peer: PeerId) -> Option<Duration> {
        if let Some(session) = self.session(peer) {
            return session.ping().await;
        }
        let away = self.elsewhere.get(peer)?;
        match self.elsewhere.ask(away.node, Ask::Ping(peer)).await? {
            Told::Micros(micros) => Some(Duration::from_micros(micros)),
            Told::Done(_) | Told::Count(_) | Told::Unknown => None,
        }
    }

    /// Has the peer's session send this and hang up, and waits until it has ended and its end is written down. Does nothing
    /// if the peer is offline.
    pub async fn close(&self, peer: PeerId, notice: Notice) {
        if let Some(session) = self.session(peer) {
            return session.close(notice).await;
        }
        if let Some(away) = self.elsewhere.get(peer) {
            self.elsewhere.ask(away.node, Ask::Close { peer, before: None, notice }).await;
        }
    }

    /// Sends a notice to every peer that is online; to how many.
    pub async fn say_all(&self, kind: NoticeKind, text: &str) -> u64 {
        let here = self.say_here(kind, text);
        here + count_of(self.elsewhere.ask_all(&Ask::Say { kind, text: text.into() }).await)
    }

    /// Sends a notice to every peer of this server; to how many.
    pub(crate) fn say_here(&self, kind: NoticeKind, text: &str) -> u64 {
        let sessions = self.sessions();
        count(sessions.values().filter(|session| session.push(Push::Say(notice(kind, text)))))
    }

    /// Passes a broadcast on to everyone but its sender, those who have blocked it and those whom it has blocked; to how many. A
    /// session whose queue is full misses it.
    pub async fn broadcast(&self, from: PeerId, frame: &Arc<[u8]>) -> u64 {
        let here = self.broadcast_here(from, frame);
        here + count_of(self.elsewhere.ask_all(&Ask::Broadcast { from, frame: frame.to_vec() }).await)
    }

    fn broadcast_here(&self, from: PeerId, frame: &Arc<[u8]>) -> u64 {
        let reaches = |peer| across::outcome(Act::Announce, self.between(from, peer)) == Outcome::Done;
        let sessions = self.sessions();
        let others = sessions.values().filter(|other| other.peer != from && reaches(other.peer));
        count(others.filter(|other| other.push(Push::Broadcast(Arc::clone(frame)))))
    }

    /// Waits, not for long, until every other node has done what it was told.
    pub async fn is_told_everywhere(&self) {
        self.elsewhere.ask_all(&Ask::Ready).await;
    }

    /// Has every session but that of `peer` send this and hang up, here and at the other nodes.
    pub async fn close_others(&self, peer: PeerId, kind: NoticeKind, text: &str) {
        self.close_here(Some(peer), &notice(kind, text));
        self.elsewhere.ask_all(&Ask::CloseAll { except: Some(peer), notice: notice(kind, text) }).await;
    }

    fn close_here(&self, except: Option<PeerId>, notice: &Notice) {
        for session in self.sessions().values().filter(|session| Some(session.peer) != except) {
            session.push(Push::Close(notice.clone()));
        }
    }

    /// The data is in this epoch: the sessions of this server that began in an earlier one end. Their peers come back by themselves and
    /// meet it. One that the store has let in before, and that settles later, ends then.
    pub fn meet(&self, epoch: Epoch) {
        if self.epoch.fetch_max(epoch.number(), Ordering::AcqRel) >= epoch.number() {
            return;
        }
        for session in self.sessions().values().filter(|session| session.is_before(epoch)) {
            session.push(Push::Close(notice(NoticeKind::Shutdown, OLDER)));
        }
    }

    /// Has every session of this server send this and hang up.
    pub fn close_all(&self, kind: NoticeKind, text: &str) {
        self.close_here(None, &notice(kind, text));
    }
}

fn count(of: impl Iterator) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

/// A notice to peers.
pub(crate) fn notice(kind: NoticeKind, text: &str) -> Notice {
    Notice { kind, text: text.into() }
}

#[cfg(test)]
mod tests;
