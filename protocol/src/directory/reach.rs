//! Reaching another peer: at its addresses, or through the directory's relay.
//!
//! A relayed connection is a TCP connection of either side to the directory's own port. It begins with [`RELAY_MAGIC`]
//! and the ticket's 32 bytes, in the clear; the directory answers with one byte, [`RELAY_OPEN`] once both sides are there,
//! or hangs up. From then on it passes bytes on, and the two speak their own TLS 1.3 as on a direct connection: the caller
//! is the client and pins the other's key. The ticket came to both over their sessions, can be used once by each, and lives
//! for [`crate::limits::RELAY_TICKET_TIME`]; another program that gets hold of it can disturb that one call, and read nothing.

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId, key::PublicKey, link::HostPort, model::Address, name::PeerName, sealing::SealingKey,
};

/// See [`super::Answer::Contact`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub id: PeerId,
    /// The key that it must prove to hold.
    pub key: PublicKey,
    /// Where it can be reached, the likeliest first; empty while it is offline, and if it cannot be reached directly.
    pub addresses: Vec<Address>,
    /// Whether it has a live session.
    #[serde(default)]
    pub online: bool,
    /// Whether the directory relays between the two if no address leads to it.
    #[serde(default)]
    pub relay: bool,
    /// Its sealing key, if it has one. The identity's signature of it is to be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<SealingKey>,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PeerName>,
}

/// The first bytes of a relayed connection. A TLS record never begins so (RFC 8446, section 5.1).
pub const RELAY_MAGIC: &[u8; 4] = b"DOSR";

/// What the directory sends on a relayed connection when the other side is there.
pub const RELAY_OPEN: u8 = 1;

/// Which relayed connection: 32 random bytes, the same for both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(#[serde(with = "serde_bytes")] [u8; 32]);

impl Ticket {
    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Ticket {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// See [`super::FromDirectory::Call`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The relayed connection to join.
    pub ticket: Ticket,
    /// Who calls. Its TLS certificate proves it again.
    pub from: PeerId,
    /// Where the relay is that the caller comes to, as `HOST:PORT`, if that is another node than the one that tells of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<HostPort>,
}
