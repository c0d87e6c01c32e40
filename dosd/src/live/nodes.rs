//! What the links to other nodes tell and are told: the other side of [`super::elsewhere`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    PeerId, Seq, Timestamp,
    directory::Notice,
    limits::{DELIVERY_TIME_MAX, PING_TIME_MAX},
    link::HostPort,
    model::SessionEnd,
    node::{Ask, Blocking, NodeId, Owed, Resident, Told},
};

use tokio::time::timeout;

use super::{Live, Push, Row, arrival, elsewhere::WayEnd, rendezvous::micros};
use crate::rules::{BlockChange, seats::Displaced};

impl Live {
    /// Opens the way to another node: what it is to be told waits there from now on.
    pub(crate) fn open_way(&self, node: NodeId) -> WayEnd {
        self.elsewhere.open(node)
    }

    /// The way to another node is broken.
    pub(crate) fn close_way(&self, node: NodeId) {
        self.elsewhere.close(node);
    }

    /// To how many nodes there is a way.
    #[must_use]
    pub fn ways(&self) -> usize {
        self.elsewhere.ways()
    }

    /// Whether there is a way to a node.
    pub(crate) fn has_way(&self, node: NodeId) -> bool {
        self.elsewhere.has_way(node)
    }

    /// How many peers are online at another node.
    pub(crate) fn count_at(&self, node: NodeId) -> usize {
        self.elsewhere.with(|board| board.values().filter(|away| away.node == node).count())
    }

    /// All who are online here, as other nodes are told.
    pub(crate) fn residents(&self) -> Vec<Resident> {
        let sessions = self.sessions();
        let settled = sessions.values().filter(|session| session.seat() > 0 && !session.has_ended());
        settled.map(|session| session.resident()).collect()
    }

    /// A peer came online at another node.
    pub(crate) fn arrived_at(&self, node: NodeId, resident: Resident) {
        // A peer whose newer session is here has left the other node.
        let sessions = self.sessions();
        let here = sessions.get(&resident.peer);
        if here.is_some_and(|here| here.seat() > resident.session) {
            return;
        }
        let here = here.filter(|here| here.is_settled()).map(|here| (here.instance, here.address()));
        if let Some(presence) = self.elsewhere.arrived(node, resident, here) {
            self.presence.note(|| presence);
        }
    }

    /// A session has ended at another node.
    pub(crate) fn left_at(
        &self,
        node: NodeId,
        (peer, session): (PeerId, u64),
        (at, end): (Timestamp, Option<SessionEnd>),
    ) {
        let sessions = self.sessions();
        let left = self.elsewhere.left(node, (peer, session), (at, end));
        if let Some(presence) = left.filter(|_| !sessions.contains_key(&peer)) {
            self.presence.note(|| presence);
        }
    }

    /// These are all who are online at another node.
    pub(crate) fn all_at(&self, node: NodeId, residents: Vec<Resident>) {
        let there = residents.iter().map(|resident| resident.peer).collect();
        self.forget_at(node, &there);
        for resident in residents {
            self.arrived_at(node, resident);
        }
    }

    /// Another node is gone, with all its sessions.
    pub(crate) fn gone(&self, node: NodeId) {
        self.elsewhere.close(node);
        self.forget_at(node, &BTreeSet::new());
    }

    fn forget_at(&self, node: NodeId, but: &BTreeSet<PeerId>) {
        let sessions = self.sessions();
        for presence in self.elsewhere.forget(node, but) {
            if !sessions.contains_key(&presence.id) {
                self.presence.note(|| presence);
            }
        }
    }

    /// A row for a peer here, from another node.
    pub(crate) fn push_here(&self, Owed { peer, seq, at, update }: Owed) {
        if let Some(session) = self.sessions().get(&peer) {
            session.push(Push::Update(Box::new(Row { seq, at, update })));
        }
    }

    /// The inbox of a peer has rows up to this one: its session, if it is at this seat, looks for them.
    pub(crate) fn look(&self, (peer, seat): (PeerId, u64), latest: Seq) {
        if let Some(session) = self.sessions().get(&peer).filter(|session| session.seat() == seat)
            && session.note_latest(latest)
        {
            session.push(Push::Look);
        }
    }

    /// The seats of the sessions here, as far as the store has decided on them.
    pub(crate) fn seated(&self) -> BTreeMap<PeerId, u64> {
        let sessions = self.sessions();
        let settled = sessions.values().filter(|session| session.seat() > 0);
        settled.map(|session| (session.peer, session.seat())).collect()
    }

    /// Tells the peers here where the nodes of the directory are.
    pub(crate) fn say_nodes(&self, nodes: &[HostPort]) {
        let nodes: Arc<[HostPort]> = nodes.into();
        for session in self.sessions().values() {
            session.push(Push::Nodes(Arc::clone(&nodes)));
        }
    }

    /// Whether there is any session of a peer here.
    pub(crate) fn is_here(&self, peer: PeerId) -> bool {
        self.sessions().contains_key(&peer)
    }

    /// The session of a peer has lost its seat to one at another node.
    pub(crate) fn unseat(&self, (peer, seat): (PeerId, u64)) {
        if let Some(session) = self.sessions().get(&peer).filter(|session| session.seat() == seat) {
            session.push(Push::Close(arrival::farewell(Displaced::BySame)));
        }
    }

    /// Has another node end the session of a peer that is older than this one.
    pub(crate) fn displace(&self, node: NodeId, (peer, session): (PeerId, u64), displaced: Displaced) {
        let notice = arrival::farewell(displaced);
        self.elsewhere.bid(node, Ask::Close { peer, before: Some(session), notice });
    }

    /// A block that was made or lifted at another node.
    pub(crate) fn block_from(&self, Blocking { blocker, blocked, is_on }: Blocking) {
        self.note_block(BlockChange { blocker, blocked, is_on });
    }

    /// All blocks are about to be read.
    pub(crate) fn begin_reading_blocks(&self) {
        self.blocks.begin_reading();
    }

    /// All blocks that stand, if they could be read.
    pub(crate) fn end_reading_blocks(&self, read: Option<Vec<BlockChange>>) {
        self.blocks.end_reading(read);
    }

    /// Does what another node asks. Whatever its peers do, that has an end.
    pub(crate) async fn answer(&self, ask: Ask) -> Told {
        match ask {
            Ask::Ready => Told::Done(true),
            Ask::Close { peer, before, notice } => Told::Done(self.close_before(peer, before, notice).await),
            Ask::CloseAll { except, notice } => {
                self.close_here(except, &notice);
                Told::Done(true)
            }
            Ask::Ping(peer) => {
                let pinging = async { self.session(peer)?.ping().await };
                let time = timeout(PING_TIME_MAX, pinging).await.ok().flatten();
                time.map_or(Told::Done(false), |time| Told::Micros(micros(time)))
            }
            Ask::Call { peer, call } => {
                Told::Done(self.session(peer).is_some_and(|session| session.push(Push::Call(call))))
            }
            Ask::Rendezvous { peer, call, round_trip_us } => {
                let caller = Duration::from_micros(round_trip_us);
                let called = self.rendezvous_here(peer, *call, caller).await;
                called.map_or(Told::Done(false), |time| Told::Micros(micros(time)))
            }
            Ask::Stored { peer, seq } => {
                let storing = self.session(peer).map(|session| session.storing(seq));
                // Nobody waits for longer, and a peer may be here for days without storing anything.
                Told::Done(match storing {
                    Some(storing) => timeout(DELIVERY_TIME_MAX, storing).await.unwrap_or(false),
                    None => false,
                })
            }
            Ask::Say { kind, text } => Told::Count(self.say_here(kind, &text)),
            Ask::Broadcast { from, frame } => Told::Count(self.broadcast_here(from, &Arc::from(frame))),
        }
    }

    async fn close_before(&self, peer: PeerId, before: Option<u64>, notice: Notice) -> bool {
        // Of a session whose seat is not decided yet it is not known whether it is older.
        let older = |seat: u64| before.is_none_or(|before| seat > 0 && seat < before);
        let Some(session) = self.session(peer).filter(|session| older(session.seat())) else { return false };
        session.close(notice).await;
        true
    }
}
