//! Blocks as the store and the live side speak of them: a change, and the set of peers that hide from one peer.
//!
//! Knows neither of the two. The store decides what a block forbids and reports its changes; [`crate::live`] keeps who hides
//! from whom.

use std::{collections::HashSet, sync::Arc};

use dos_protocol::PeerId;

/// A change that was committed: one peer blocks another, or does so no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocking {
    /// The peer that blocks.
    pub blocker: PeerId,
    /// The peer that is blocked.
    pub blocked: PeerId,
    /// Whether the block was made or removed.
    pub is_on: bool,
}

/// The peers that hide from one peer, as of when this was taken. Taking and cloning it copies no set.
#[derive(Debug, Clone, Default)]
pub struct Hidden(Option<Arc<HashSet<PeerId>>>);

impl Hidden {
    /// Those who have blocked the peer, if there are any.
    pub(crate) fn new(blockers: Option<Arc<HashSet<PeerId>>>) -> Self {
        Self(blockers)
    }

    /// Whether this peer hides.
    #[must_use]
    pub fn contains(&self, peer: PeerId) -> bool {
        self.0.as_ref().is_some_and(|blockers| blockers.contains(&peer))
    }
}
