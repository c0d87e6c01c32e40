//! The sessions of this server, in terms of peers: who is online, what reaches them, who hides from whom, and the calls that
//! are relayed between them.
//!
//! Everyone but a connection's own task speaks of peers, never of sessions, because a peer's session may be replaced at any
//! moment, and with several servers be on another one. Presence comes from the sessions alone, so a restart leaves no ghost.
//! Tasks that hold sockets and the store's writer meet here: nothing in here blocks.

mod arrival;
mod blocks;
mod permit;
mod presence;
pub mod relay;
mod session;

use std::{collections::BTreeMap, net::IpAddr, ops::Bound, sync::Arc, time::Duration};

use dos_protocol::{
    PeerId, PeerName, Seq, Timestamp, WireError,
    directory::{Call, Notice, NoticeKind, Subscription},
    model::{Address, SessionEnd},
    scope::canonical,
};
use parking_lot::{RwLock, RwLockReadGuard};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

pub use self::{
    arrival::{Arrival, ArrivalError, Claim},
    blocks::Hidden,
    permit::Permit,
    presence::Follower,
    session::{Caller, Ending, Handle, Push, Row},
};
use self::{blocks::Blocks, permit::Permits, presence::PresenceLog, relay::Relay, session::Session};
use crate::rules::{
    Act, BlockChange, Reach,
    blocks::across::{self, Between, Outcome},
};

type Sessions = BTreeMap<PeerId, Arc<Session>>;

/// See the module.
#[derive(Debug, Default)]
pub struct Live {
    sessions: RwLock<Sessions>,
    permits: Permits,
    blocks: Blocks,
    /// Written while `sessions` is locked, so that a peer's changes stand in it in their order.
    presence: Arc<PresenceLog>,
    /// Connections between peers that cannot reach each other.
    pub relay: Relay,
    queue_drops: Counter,
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

    /// Makes a peer online. The same daemon coming back takes over silently, another one only by force; the session that
    /// loses is notified.
    ///
    /// # Errors
    /// As in [`ArrivalError`]: the session that the peer has already stays.
    pub fn arrive(&self, arrival: Arrival) -> Result<(Handle, mpsc::Receiver<Push>), ArrivalError> {
        let mut sessions = self.sessions.write();
        let (mut is_news, mut end) = (true, None);
        if let Some(former) = sessions.get(&arrival.peer) {
            // Of a session that has ended there is no one to take over from, though its peer has not gone offline yet.
            if !former.has_ended() {
                let notice = arrival::take_over(former, &arrival)?;
                end = (notice.kind != NoticeKind::Superseded).then_some(SessionEnd::TakenOver);
                former.push(Push::Close(notice));
            }
            is_news = former.instance != arrival.instance || former.address() != arrival.reach.address();
        }
        let (session, pushes) = Session::new(arrival, self.queue_drops.clone());
        let session = Arc::new(session);
        if is_news {
            self.presence.note(|| session.presence(true, end));
        }
        sessions.insert(session.peer, Arc::clone(&session));
        Ok((Handle(session), pushes))
    }

    /// Makes the peer of a session offline, for this reason, unless a newer session has taken the place of this one. Tells
    /// whether the peer is offline now.
    pub fn leave(&self, Handle(session): &Handle, end: SessionEnd) -> bool {
        session.note_ending();
        let mut sessions = self.sessions.write();
        let is_current = sessions.get(&session.peer).is_some_and(|current| Arc::ptr_eq(current, session));
        if is_current {
            self.presence.note(|| session.presence(false, Some(end)));
            sessions.remove(&session.peer);
        }
        is_current
    }

    /// A peer has another name: those who follow it get that, if it is online.
    pub(crate) fn rename(&self, peer: PeerId, name: &PeerName) {
        // Under the lock that whoever ends it takes: nothing is noted of it after its end.
        if let Some(session) = self.sessions().get(&peer).filter(|session| !session.has_ended()) {
            session.rename(name);
            self.presence.note(|| session.presence(true, None));
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
        self.sessions().get(&peer).is_some_and(|session| !session.has_ended())
    }

    /// Where a peer is, if it is online.
    #[must_use]
    pub fn presence_of(&self, peer: PeerId) -> Option<Online> {
        let sessions = self.sessions();
        let session = sessions.get(&peer).filter(|session| !session.has_ended())?;
        Some(Online { reach: session.reach.clone(), since: session.since })
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
        peers.filter(|peer| !hidden.contains(*peer)).take(limit).collect()
    }

    /// The peers that are known by this address, without those who hide. What a peer announces counts for nothing: it could
    /// announce the address of another.
    #[must_use]
    pub fn at(&self, hidden: &Hidden, address: Address) -> Vec<PeerId> {
        let address = canonical(address);
        self.sessions()
            .values()
            .filter(|session| session.address() == Some(address))
            .map(|session| session.peer)
            .filter(|peer| !hidden.contains(*peer))
            .collect()
    }

    /// How many peers are online.
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

    /// Hands rows that were committed to the peers that are online. Those of one peer come in the order of their numbers.
    pub fn push(&self, rows: impl IntoIterator<Item = (PeerId, Row)>) {
        let sessions = self.sessions();
        for (peer, row) in rows {
            if let Some(session) = sessions.get(&peer) {
                session.push(Push::Update(Box::new(row)));
            }
        }
    }

    /// Waits until a peer has stored this row; false if it is offline, or its session ends before.
    pub async fn has_stored(&self, peer: PeerId, seq: Seq) -> bool {
        let Some(storing) = self.session(peer).map(|session| session.storing(seq)) else { return false };
        storing.await
    }

    /// Notifies a peer of a call through the relay; false if it will not receive that.
    #[must_use]
    pub fn call(&self, peer: PeerId, call: Call) -> bool {
        self.session(peer).is_some_and(|session| session.push(Push::Call(call)))
    }

    /// How long a peer takes to answer; `None` if it is offline, goes offline before it does, or has too many pings in
    /// flight.
    pub async fn ping(&self, peer: PeerId) -> Option<Duration> {
        self.session(peer)?.ping().await
    }

    /// Has the peer's session send this and hang up, and waits until it has ended and its end is written down. Does nothing
    /// if the peer is offline.
    pub async fn close(&self, peer: PeerId, notice: Notice) {
        if let Some(session) = self.session(peer) {
            session.close(notice).await;
        }
    }

    /// Sends a notice to every peer that is online; to how many.
    pub fn say_all(&self, kind: NoticeKind, text: &str) -> u64 {
        let sessions = self.sessions();
        count(sessions.values().filter(|session| session.push(Push::Say(notice(kind, text)))))
    }

    /// Passes a broadcast on to everyone but its sender, those who have blocked it and those whom it has blocked; to how many. A
    /// session whose queue is full misses it.
    pub fn broadcast(&self, from: PeerId, frame: &Arc<[u8]>) -> u64 {
        let reaches = |peer| across::outcome(Act::Announce, self.between(from, peer)) == Outcome::Done;
        let sessions = self.sessions();
        let others = sessions.values().filter(|other| other.peer != from && reaches(other.peer));
        count(others.filter(|other| other.push(Push::Broadcast(Arc::clone(frame)))))
    }

    /// Has every session but that of `peer` send this and hang up.
    pub fn close_others(&self, peer: PeerId, kind: NoticeKind, text: &str) {
        for session in self.sessions().values().filter(|session| session.peer != peer) {
            session.push(Push::Close(notice(kind, text)));
        }
    }

    /// Has every session send this and hang up.
    pub fn close_all(&self, kind: NoticeKind, text: &str) {
        for session in self.sessions().values() {
            session.push(Push::Close(notice(kind, text)));
        }
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
