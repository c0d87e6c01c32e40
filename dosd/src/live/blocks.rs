//! Who hides from whom: the blocks of the store, in memory, because every look at another peer's presence needs them.
//!
//! Loaded when the store is opened; then it follows every change right after its commit, before that is answered, in the
//! order of the commits; those of another node follow when that tells of them, and are read again when a link to it is made anew. It decides only what a peer sees; what a block forbids (a message, a request) the store refuses in
//! its own transaction. A block costs some 16 bytes here.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use dos_protocol::PeerId;
use parking_lot::{Mutex, RwLock};

use crate::rules::{BlockChange, blocks::across::Between};

/// All blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Under each blocked peer those who have blocked it, because it is the blocked one that looks.
    blockers: RwLock<HashMap<PeerId, Arc<HashSet<PeerId>>>>,
    reading: Mutex<Reading>,
}

/// What changes while all blocks are being read, which may have been before or after.
#[derive(Debug, Default)]
struct Reading {
    /// How many read.
    readers: u32,
    changes: Vec<BlockChange>,
}

/// The peers that hide from one peer, as of when this was taken. Taking and cloning it copies no set.
#[derive(Debug, Clone, Default)]
pub struct Hidden(Option<Arc<HashSet<PeerId>>>);

impl Hidden {
    /// Whether this peer hides.
    #[must_use]
    pub fn contains(&self, peer: PeerId) -> bool {
        self.0.as_ref().is_some_and(|blockers| blockers.contains(&peer))
    }
}

impl Blocks {
    /// Whether `blocker` has blocked `from`: then `from` sees nothing of its presence.
    pub(super) fn hides(&self, blocker: PeerId, from: PeerId) -> bool {
        let blockers = self.blockers.read();
        blockers.get(&from).is_some_and(|blockers| blockers.contains(&blocker))
    }

    /// The blocks between a peer that acts and another one.
    pub(super) fn between(&self, actor: PeerId, other: PeerId) -> Between {
        Between { by_other: self.hides(other, actor), by_actor: self.hides(actor, other) }
    }

    /// The peers that hide from `viewer`.
    pub(super) fn hidden_from(&self, viewer: PeerId) -> Hidden {
        let blockers = self.blockers.read();
        Hidden(blockers.get(&viewer).map(Arc::clone))
    }

    /// All blocks are about to be read: what changes from now on is not to be lost by that.
    pub(super) fn begin_reading(&self) {
        self.reading.lock().readers += 1;
    }

    /// Puts what was read, if that succeeded, in the place of all that was known.
    pub(super) fn end_reading(&self, read: Option<Vec<BlockChange>>) {
        let mut reading = self.reading.lock();
        if let Some(all) = read {
            self.replace(all);
            for change in &reading.changes {
                self.apply(*change);
            }
        }
        reading.readers = reading.readers.saturating_sub(1);
        if reading.readers == 0 {
            reading.changes = Vec::new();
        }
    }

    fn replace(&self, all: Vec<BlockChange>) {
        let mut blockers: HashMap<PeerId, HashSet<PeerId>> = HashMap::new();
        for BlockChange { blocker, blocked, .. } in all {
            blockers.entry(blocked).or_default().insert(blocker);
        }
        *self.blockers.write() =
            blockers.into_iter().map(|(blocked, set)| (blocked, Arc::new(set))).collect();
    }

    /// Applies a change that was committed.
    pub(super) fn set(&self, change: BlockChange) {
        let mut reading = self.reading.lock();
        if reading.readers > 0 {
            reading.changes.push(change);
        }
        self.apply(change);
    }

    fn apply(&self, change: BlockChange) {
        let BlockChange { blocker, blocked, is_on } = change;
        let mut blockers = self.blockers.write();
        if is_on {
            Arc::make_mut(blockers.entry(blocked).or_default()).insert(blocker);
        } else if let Some(of_one) = blockers.get_mut(&blocked) {
            Arc::make_mut(of_one).remove(&blocker);
            if of_one.is_empty() {
                blockers.remove(&blocked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_all_are_read_is_not_lost() {
        let [alice, bob, carol] =
            [1, 2, 3].map(|number| PeerId::from_number(PeerId::COUNT / 3 + number).unwrap());
        let change = |blocker, is_on| BlockChange { blocker, blocked: bob, is_on };
        let blocks = Blocks::default();
        blocks.set(change(alice, true));
        blocks.begin_reading();
        blocks.set(change(carol, true));
        blocks.set(change(alice, false));
        // Read before both.
        blocks.end_reading(Some(vec![change(alice, true)]));
        assert!(blocks.hides(carol, bob) && !blocks.hides(alice, bob));
        blocks.begin_reading();
        blocks.end_reading(None);
        assert!(blocks.hides(carol, bob), "what could not be read changes nothing");
        assert!(blocks.reading.lock().changes.is_empty());
    }

    #[test]
    fn a_block_hides_one_way_until_it_is_removed_and_nothing_of_it_stays() {
        let [alice, bob, carol] =
            [1, 2, 3].map(|number| PeerId::from_number(PeerId::COUNT / 3 + number).unwrap());
        let blocks = Blocks::default();
        let set = |blocker, is_on| blocks.set(BlockChange { blocker, blocked: bob, is_on });
        set(alice, true);
        set(alice, true);
        set(carol, true);
        assert!(blocks.hides(alice, bob) && !blocks.hides(bob, alice) && !blocks.hides(alice, carol));
        let before = blocks.hidden_from(bob);
        set(alice, false);
        assert!(before.contains(alice) && !blocks.hidden_from(bob).contains(alice));
        assert!(blocks.hides(carol, bob));
        set(carol, false);
        set(carol, false);
        assert!(blocks.blockers.read().is_empty());
        assert!(!blocks.hidden_from(alice).contains(bob));
    }
}
