//! Where the session of a peer is, among several nodes: one at a time, whichever node it signs in at.
//!
//! The seat is decided on in the transaction of the sign-in. What one node knows of its own sessions follows from it.

use dos_protocol::{Instance, WireError, node::NodeId};

use super::refusal::conflict;

/// What a daemon that comes online demands of another one that is signed in with its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It stays.
    Polite,
    /// It has to go.
    Forced,
}

/// Why a session has to make room for another one of its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Displaced {
    /// The same daemon has connected anew.
    BySame,
    /// Another daemon has signed in with the ID.
    ByOther,
}

/// Where a peer's session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) node: NodeId,
    pub(crate) instance: Instance,
}

/// What becomes of a session of `held` when a daemon comes with this claim.
///
/// # Errors
/// `conflict` if it is another daemon's and stays.
pub(crate) fn displace(held: Instance, comes: Instance, claim: Claim) -> Result<Displaced, WireError> {
    match claim {
        _ if held == comes => Ok(Displaced::BySame),
        Claim::Polite => Err(conflict("another daemon is signed in with this ID")),
        Claim::Forced => Ok(Displaced::ByOther),
    }
}

/// A node as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    beat: u64,
    /// Readings in a row in which the beat was the same, since the store was out of reach.
    still: u32,
    /// The same in all.
    in_all: u32,
}

/// Readings in a row in which the beat of a node stands still until it is dead.
const STILL_MAX: u32 = 4;

/// The same where the store is slow for so long that the other count never gets anywhere. Each reading comes with a beat that was raised, a
/// second after the last one at least: who has raised none in all that time has had twice the time that finding the store again takes.
const STILL_IN_ALL_MAX: u32 = 20;

/// Which nodes have died, by their beats: a pure account of what was read.
///
/// A beat that stood still in [`STILL_MAX`] readings in a row that succeeded means death. After the store was out of reach the count
/// begins anew, so that nobody dies of its absence; but for [`STILL_IN_ALL_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Beats {
    seen: std::collections::BTreeMap<NodeId, Seen>,
}

impl Beats {
    /// Takes a reading; the nodes that are dead by it, with the beats at which they have stopped.
    pub(crate) fn read(&mut self, beats: impl IntoIterator<Item = (NodeId, u64)>) -> Vec<(NodeId, u64)> {
        let mut seen = std::collections::BTreeMap::new();
        let mut dead = Vec::new();
        for (node, beat) in beats {
            let (still, in_all) = match self.seen.get(&node) {
                Some(before) if before.beat == beat => (before.still + 1, before.in_all + 1),
                _ => (0, 0),
            };
            if still >= STILL_MAX || in_all >= STILL_IN_ALL_MAX {
                dead.push((node, beat));
            }
            seen.insert(node, Seen { beat, still, in_all });
        }
        self.seen = seen;
        dead
    }

    /// The store was out of reach, or is slow: it may be that nobody could raise a beat.
    pub(crate) fn begin_anew(&mut self) {
        for seen in self.seen.values_mut() {
            seen.still = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> NodeId {
        NodeId::from_number(number).unwrap()
    }

    #[test]
    fn the_same_daemon_takes_over_and_another_one_by_force_alone() {
        let (one, other) = (Instance(1), Instance(2));
        assert_eq!(displace(one, one, Claim::Polite), Ok(Displaced::BySame));
        assert_eq!(displace(one, one, Claim::Forced), Ok(Displaced::BySame));
        assert_eq!(displace(one, other, Claim::Forced), Ok(Displaced::ByOther));
        assert!(displace(one, other, Claim::Polite).is_err());
    }

    #[test]
    fn a_node_is_dead_when_its_beat_stands_still_and_not_when_nobody_could_beat() {
        let mut beats = Beats::default();
        let mut dead_at = Vec::new();
        for reading in 0..10 {
            let read = beats.read([(node(1), reading), (node(2), reading.min(3))]);
            dead_at.extend(read.into_iter().map(|(dead, beat)| (reading, dead, beat)));
        }
        let expected: Vec<_> = (7..10).map(|reading| (reading, node(2), 3)).collect();
        assert_eq!(dead_at, expected);
        let mut beats = Beats::default();
        for _ in 0..3 {
            assert!(beats.read([(node(1), 1)]).is_empty());
        }
        beats.begin_anew();
        for _ in 0..3 {
            assert!(beats.read([(node(1), 1)]).is_empty());
        }
        assert_eq!(beats.read([(node(1), 1)]), [(node(1), 1)]);
        assert!(beats.read([]).is_empty() && beats.seen.is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn a_slow_store_keeps_no_dead_node_for_ever() {
        let mut beats = Beats::default();
        let mut dead_at = Vec::new();
        for reading in 0..25 {
            beats.begin_anew();
            // The other one is as slow.
            let read = beats.read([(node(1), reading / 10), (node(2), 3)]);
            dead_at.extend(read.into_iter().map(|(dead, beat)| (reading, dead, beat)));
        }
        let expected: Vec<_> = (20..25).map(|reading| (reading, node(2), 3)).collect();
        assert_eq!(dead_at, expected);
    }
}
