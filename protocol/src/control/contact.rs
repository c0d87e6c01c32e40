//! Contacts: peers whose keys are pinned.

use serde::{Deserialize, Serialize};

use crate::{
    fingerprint::Fingerprint, id::PeerId, key::PublicKey, kind::known_or_none, name::PeerName,
    time::Timestamp,
};

/// What is known of a peer's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The peer.
    pub id: PeerId,
    /// The name under which it came to be known, which stays whatever the directory calls it later.
    pub name: Option<PeerName>,
    /// The key: the pinned one, or, where none is pinned, the one that the directory tells.
    pub key: PublicKey,
    /// How the key came to be pinned; nothing if none is.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    pub trust: Option<Trust>,
    /// When it was pinned, or seen.
    pub since: Timestamp,
    /// Another key that was seen in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<OtherKey>,
    /// Its key is pinned because of what it sent; this peer has not dealt with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stranger: bool,
}

impl Contact {
    /// The key in digits.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.id, &self.key)
    }
}

/// How a key came to be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Trust {
    /// The directory told it when it was needed for the first time.
    FirstUse,
    /// A person has compared it, or got it from the peer itself.
    Verified,
}

impl Trust {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A key that was seen in place of the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherKey {
    /// The peer that has it: another one, if the name leads to another peer now.
    pub peer: PeerId,
    /// The key.
    pub key: PublicKey,
    /// When it was seen first.
    pub at: Timestamp,
}

impl OtherKey {
    /// The key in digits.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.peer, &self.key)
    }
}
