//! The peers whose sessions are at other nodes, and the ways to these nodes.
//!
//! The board is what the other nodes tell of themselves: a look at another peer costs no more than on one node. Nothing that must hold
//! rests on it; a peer's seat in the store is the truth, and of two sessions of a peer the one with the higher number is the newer.
//! What is told goes into a bounded queue for each node: what does not fit is made up for, rows and blocks from the store, presence by
//! telling all of it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Instance, PeerId, PeerName, Timestamp,
    directory::Presence,
    model::{Address, SessionEnd},
    node::{Ask, NodeId, Resident, ToNode, Told},
};
use futures_util::future::join_all;
use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Online;
use crate::rules::Reach;

/// What waits for one node: the frames of some seconds at the pace of a busy directory.
const WAY_QUEUE_MAX: usize = 16_384;

/// For what every node is asked, and answers out of its memory.
const EVERYWHERE_TIME_MAX: Duration = Duration::from_secs(2);

/// A peer at another node.
#[derive(Debug, Clone)]
pub(super) struct Away {
    pub(super) node: NodeId,
    pub(super) session: u64,
    pub(super) instance: Instance,
    name: Option<PeerName>,
    pub(super) online: Online,
}

impl Away {
    fn of(node: NodeId, resident: Resident) -> Self {
        let Resident { name, session, instance, seen, addresses, since, mapped, .. } = resident;
        let reach = Reach::of(seen.0.ip(), seen.0.port(), addresses).with_rendezvous(mapped);
        let online = Online { reach, since };
        Self { node, session, instance, name, online }
    }

    fn presence(&self, id: PeerId, online: bool, (at, end): (Timestamp, Option<SessionEnd>)) -> Presence {
        let address = self.online.reach.address().filter(|_| online);
        Presence { id, name: self.name.clone(), online, address, at, end }
    }
}

/// Something for another node.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// To be told.
    Tell(ToNode),
    /// To be asked.
    Ask(Ask, oneshot::Sender<Told>),
}

/// The way to another node.
#[derive(Debug, Clone)]
struct Way {
    queue: mpsc::Sender<Parcel>,
    lost: Arc<Lost>,
}

/// What did not fit into a way's queue.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    stored: AtomicBool,
    presence: AtomicBool,
}

impl Lost {
    /// Whether what the store has was lost since this was last asked: rows, blocks.
    pub(crate) fn stored(&self) -> bool {
        self.stored.swap(false, Ordering::AcqRel)
    }

    /// Whether changes of presence were lost since this was last asked.
    pub(crate) fn presence(&self) -> bool {
        self.presence.swap(false, Ordering::AcqRel)
    }
}

/// The end of a way from which its task takes what is to be sent.
#[derive(Debug)]
pub(crate) struct WayEnd {
    pub(crate) parcels: mpsc::Receiver<Parcel>,
    pub(crate) lost: Arc<Lost>,
}

impl Way {
    fn tell(&self, message: ToNode) {
        let is_stored = matches!(message, ToNode::Update(_) | ToNode::Block(_));
        let is_kept = !matches!(message, ToNode::News { .. });
        if self.queue.try_send(Parcel::Tell(message)).is_err() && is_kept {
            let lost = if is_stored { &self.lost.stored } else { &self.lost.presence };
            lost.store(true, Ordering::Release);
        }
    }

    fn ask(&self, ask: Ask) -> oneshot::Receiver<Told> {
        let (answer, answered) = oneshot::channel();
        // If there is no room, the answer is that nobody answers.
        drop(self.queue.try_send(Parcel::Ask(ask, answer)));
        answered
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    board: RwLock<BTreeMap<PeerId, Away>>,
    ways: RwLock<BTreeMap<NodeId, Way>>,
}

impl Elsewhere {
    pub(super) fn open(&self, node: NodeId) -> WayEnd {
        let (queue, parcels) = mpsc::channel(WAY_QUEUE_MAX);
        let lost = Arc::new(Lost::default());
        self.ways.write().insert(node, Way { queue, lost: Arc::clone(&lost) });
        WayEnd { parcels, lost }
    }

    pub(super) fn close(&self, node: NodeId) {
        self.ways.write().remove(&node);
    }

    pub(super) fn ways(&self) -> usize {
        self.ways.read().len()
    }

    pub(super) fn has_way(&self, node: NodeId) -> bool {
        self.ways.read().contains_key(&node)
    }

    /// A peer, if it is at another node.
    pub(super) fn get(&self, peer: PeerId) -> Option<Away> {
        self.board.read().get(&peer).cloned()
    }

    pub(super) fn has(&self, peer: PeerId) -> bool {
        self.board.read().contains_key(&peer)
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&BTreeMap<PeerId, Away>) -> T) -> T {
        look(&self.board.read())
    }

    pub(super) fn remove(&self, peer: PeerId) -> Option<Away> {
        self.board.write().remove(&peer)
    }

    /// A peer came online at another node: what its followers are to know, if it had a session `here` until now or none.
    pub(super) fn arrived(
        &self,
        node: NodeId,
        resident: Resident,
        here: Option<(Instance, Option<Address>)>,
    ) -> Option<Presence> {
        let peer = resident.peer;
        let away = Away::of(node, resident);
        let mut board = self.board.write();
        let before = board.get(&peer);
        if before.is_some_and(|before| before.session > away.session) {
            return None;
        }
        let known = here.or_else(|| before.map(|before| (before.instance, before.online.reach.address())));
        let is_same = known == Some((away.instance, away.online.reach.address()))
            && before.is_none_or(|before| before.name == away.name);
        let is_other = known.is_some_and(|(instance, _)| instance != away.instance);
        let end = is_other.then_some(SessionEnd::TakenOver);
        let presence = (!is_same).then(|| away.presence(peer, true, (away.online.since, end)));
        board.insert(peer, away);
        presence
    }

    /// A session has ended at another node: what the peer's followers are to know.
    pub(super) fn left(
        &self,
        node: NodeId,
        (peer, session): (PeerId, u64),
        (at, end): (Timestamp, Option<SessionEnd>),
    ) -> Option<Presence> {
        let mut board = self.board.write();
        board.get(&peer).filter(|away| away.node == node && away.session == session)?;
        let away = board.remove(&peer)?;
        Some(away.presence(peer, false, (at, end)))
    }

    /// The peers of a node but those that are named: nobody knows more of them.
    pub(super) fn forget(&self, node: NodeId, but: &BTreeSet<PeerId>) -> Vec<Presence> {
        let mut board = self.board.write();
        let gone: Vec<PeerId> = board
            .iter()
            .filter(|(peer, away)| away.node == node && !but.contains(peer))
            .map(|(peer, _)| *peer)
            .collect();
        let forget = |peer: PeerId| {
            let away = board.remove(&peer)?;
            Some(away.presence(peer, false, (Timestamp::now(), Some(SessionEnd::Dropped))))
        };
        gone.into_iter().filter_map(forget).collect()
    }

    /// Tells a node something, if it is another one.
    pub(super) fn tell(&self, node: NodeId, message: impl FnOnce() -> ToNode) {
        if let Some(way) = self.ways.read().get(&node) {
            way.tell(message());
        }
    }

    /// Tells every other node something.
    pub(super) fn tell_all(&self, message: &ToNode) {
        for way in self.ways.read().values() {
            way.tell(message.clone());
        }
    }

    /// Asks a node something; nothing if there is no way there, or it ends before the answer.
    pub(super) async fn ask(&self, node: NodeId, ask: Ask) -> Option<Told> {
        let answered = self.ways.read().get(&node).map(|way| way.ask(ask))?;
        answered.await.ok()
    }

    /// Asks a node something, and does not wait for its answer.
    pub(super) fn bid(&self, node: NodeId, ask: Ask) {
        if let Some(way) = self.ways.read().get(&node) {
            drop(way.ask(ask));
        }
    }

    /// Asks every other node something that it answers at once.
    pub(super) async fn ask_all(&self, ask: &Ask) -> Vec<Told> {
        let asked: Vec<_> = self.ways.read().values().map(|way| way.ask(ask.clone())).collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let answers = asked.into_iter().map(|answered| timeout(EVERYWHERE_TIME_MAX, answered));
        join_all(answers).await.into_iter().filter_map(|answer| answer.ok()?.ok()).collect()
    }
}

/// How many were told, in all.
pub(super) fn count_of(answers: Vec<Told>) -> u64 {
    let count = |answer| if let Told::Count(count) = answer { count } else { 0 };
    answers.into_iter().map(count).sum()
}

#[cfg(test)]
mod tests {
    use dos_protocol::node::Blocking;

    use super::*;

    fn node(number: u64) -> NodeId {
        NodeId::from_number(number).unwrap()
    }

    fn resident(session: u64, instance: u64) -> Resident {
        Resident {
            peer: peer(),
            name: None,
            session,
            instance: Instance(instance),
            seen: "192.0.2.7:4000".parse().unwrap(),
            addresses: Vec::new(),
            since: Timestamp(1),
            mapped: None,
        }
    }

    fn peer() -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3).unwrap()
    }

    #[test]
    fn the_newer_session_stands_whichever_node_is_heard_first() {
        let elsewhere = Elsewhere::default();
        assert!(elsewhere.arrived(node(2), resident(6, 1), None).is_some_and(|told| told.online));
        assert_eq!(elsewhere.arrived(node(1), resident(5, 1), None), None, "an older one that is heard late");
        assert_eq!(elsewhere.left(node(1), (peer(), 5), (Timestamp(2), None)), None);
        assert_eq!(elsewhere.get(peer()).map(|away| (away.node, away.session)), Some((node(2), 6)));
        let taken = elsewhere.arrived(node(1), resident(7, 2), None).unwrap();
        assert_eq!((taken.online, taken.end), (true, Some(SessionEnd::TakenOver)));
        assert_eq!(elsewhere.left(node(2), (peer(), 6), (Timestamp(2), None)), None);
        let left = elsewhere.left(node(1), (peer(), 7), (Timestamp(3), Some(SessionEnd::Closed))).unwrap();
        assert_eq!((left.online, left.end, left.address), (false, Some(SessionEnd::Closed), None));
        assert!(!elsewhere.has(peer()));
    }

    #[test]
    fn the_same_daemon_that_goes_to_another_node_is_no_news() {
        let elsewhere = Elsewhere::default();
        assert!(elsewhere.arrived(node(1), resident(1, 1), None).is_some());
        assert_eq!(elsewhere.arrived(node(2), resident(2, 1), None), None);
        assert_eq!(elsewhere.forget(node(1), &BTreeSet::new()), [], "it is not there any more");
        let gone = elsewhere.forget(node(2), &BTreeSet::new());
        assert_eq!(gone.first().map(|gone| (gone.id, gone.online)), Some((peer(), false)));
    }

    #[test]
    fn what_does_not_fit_is_known_to_be_lost() {
        let elsewhere = Elsewhere::default();
        let mut end = elsewhere.open(node(1));
        for _ in 0..=WAY_QUEUE_MAX {
            elsewhere.tell(node(1), || ToNode::Arrived(Box::new(resident(1, 1))));
        }
        assert!(end.lost.presence() && !end.lost.presence() && !end.lost.stored());
        let peer = peer();
        elsewhere.tell_all(&ToNode::Block(Blocking { blocker: peer, blocked: peer, is_on: true }));
        assert!(end.lost.stored(), "a block is read again like a row");
        assert!(end.parcels.try_recv().is_ok());
    }
}
