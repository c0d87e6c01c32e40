//! Reaching another peer: at its addresses, or through the directory's relay.
//!
//! A relayed connection is a TCP connection of either side to the directory's own port. It begins with [`RELAY_MAGIC`]
//! and the ticket's 32 bytes, in the clear; the directory answers with one byte, [`RELAY_OPEN`] once both sides are there,
//! or hangs up. From then on it passes bytes on, and the two speak their own TLS 1.3 as on a direct connection: the caller
//! is the client and pins the other's key. The ticket came to both over their sessions, can be used once by each, and lives
//! for [`crate::limits::RELAY_TICKET_TIME`]; another program that gets hold of it can disturb that one call, and read nothing.
//!
//! In a rendezvous two peers behind NATs connect to each other at one moment, which the directory names: each sends from the port of
//! its session, whose mapping the directory sees (TCP simultaneous open, RFC 9293, section 3.5), and the one that is called also connects to
//! where the caller may listen. Whoever calls has drawn the ticket. On every connection of a rendezvous each side first sends
//! [`RENDEZVOUS_MAGIC`] and the ticket, and goes on when the other has sent the same; then the caller is the client of their TLS, whichever side has
//! connected.
//!
//! Two ports have one connection between them. A caller that has one to that peer already, or had one a moment ago, calls from another port: it connects to
//! the directory from there, sends [`SEEN_MAGIC`], and is answered with a frame in which its address is, as the directory sees it; then both hang up.

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
    /// Whether the directory arranges a rendezvous with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rendezvous: bool,
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

/// The bytes with which a connection asks the directory where it is seen to come from. A TLS record never begins so.
pub const SEEN_MAGIC: &[u8; 4] = b"DOSS";

/// The first bytes of a connection of a rendezvous, from either side. A TLS record never begins so.
pub const RENDEZVOUS_MAGIC: &[u8; 4] = b"DOSM";

/// The bytes of [`preface`].
pub const PREFACE_BYTES: usize = 36;

/// What either side sends first on a connection of the rendezvous with this ticket.
#[must_use]
pub fn preface(ticket: &Ticket) -> [u8; PREFACE_BYTES] {
    let mut preface = [0; PREFACE_BYTES];
    let (magic, rest) = preface.split_at_mut(RENDEZVOUS_MAGIC.len());
    magic.copy_from_slice(RENDEZVOUS_MAGIC);
    rest.copy_from_slice(ticket.as_bytes());
    preface
}

/// The ticket of a preface, if it is one.
#[must_use]
pub fn ticket_of(preface: &[u8; PREFACE_BYTES]) -> Option<Ticket> {
    let ticket = preface.strip_prefix(RENDEZVOUS_MAGIC)?;
    <[u8; 32]>::try_from(ticket).ok().map(Ticket)
}

/// See [`super::Op::Rendezvous`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendezvous {
    /// With whom.
    pub peer: PeerId,
    /// By which both know the connections that belong to it.
    pub ticket: Ticket,
    /// The port outside from which the caller connects, if that is not its session's: see [`SEEN_MAGIC`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// See [`super::Answer::Rendezvous`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RendezvousAt {
    /// Where the directory sees the other side's session, if its port is to be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Address>,
    /// To begin so many microseconds after this has come.
    pub begin_us: u64,
}

/// See [`super::FromDirectory::Rendezvous`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RendezvousCall {
    /// As in [`Rendezvous`].
    pub ticket: Ticket,
    /// Who calls. Its TLS certificate proves it again.
    pub from: PeerId,
    /// Where the directory sees the caller's session, if its port is to be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Address>,
    /// Where else the caller may be listening, the likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// To begin so many microseconds after this has come.
    pub begin_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_says_its_ticket_and_nothing_else_is_one() {
        let ticket = Ticket::from([7; 32]);
        assert_eq!(ticket_of(&preface(&ticket)), Some(ticket));
        let mut relayed = preface(&ticket);
        relayed[..4].copy_from_slice(RELAY_MAGIC);
        assert_eq!(ticket_of(&relayed), None);
        assert!(!(20..=23).contains(&RENDEZVOUS_MAGIC[0]), "a TLS record begins so");
        assert!(
            SEEN_MAGIC[0] == RELAY_MAGIC[0] && SEEN_MAGIC != RELAY_MAGIC,
            "the directory looks at the first byte"
        );
    }
}
