//! Presence: who comes and goes, told to those who subscribed. It is not kept: it is what is true now.

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    kind::known_or_none,
    model::{Address, SessionEnd},
    name::PeerName,
    time::Timestamp,
};

/// Whose presence a session wants to hear of. A new subscription takes the place of the old one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// That of these, at most [`crate::limits::SUBSCRIBED_PEERS_MAX`].
    These(Vec<PeerId>),
}

/// Changes of presence since the last ones that were sent. Each peer comes once, as it is now: who came and went in
/// between is told as gone, and many changes cost no more than the peers that changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Those who changed, at most [`crate::limits::PRESENCE_PER_PUSH_MAX`].
    pub peers: Vec<Presence>,
    /// Further changes were too many to be kept: ask anew, if it matters.
    #[serde(default)]
    pub missed: bool,
}

/// A peer as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Whether it has a live session.
    pub online: bool,
    /// Where it is reached while it is online.
    pub address: Option<Address>,
    /// When it came or went.
    pub at: Timestamp,
    /// Why it went. Of one that is online, [`SessionEnd::TakenOver`]: it was online before, at another daemon.
    #[serde(deserialize_with = "known_or_none")]
    pub end: Option<SessionEnd>,
}
