//! Messages, and who wants to send them, as a daemon knows them.

use serde::{Deserialize, Serialize};

use crate::{
    directory::{Delivery, RequestState},
    id::{MessageId, PeerId},
    model::Address,
    name::PeerName,
    time::Timestamp,
};

/// A peer that wants to send direct messages, and has no other relation to this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactRequest {
    /// Its number here: `cN`.
    pub number: u64,
    /// Who.
    pub from: PeerId,
    /// Its name.
    pub from_name: Option<PeerName>,
    /// `pending`, `approved` or `denied`.
    pub state: RequestState,
    /// When it first tried.
    pub created_at: Timestamp,
    /// When it was answered.
    pub decided_at: Option<Timestamp>,
}

/// A message, sent or received.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its place here: later messages have higher ones.
    pub place: u64,
    /// Its sender's ID for it.
    pub message: MessageId,
    /// Who sent it.
    pub from: PeerId,
    /// The sender's name.
    pub from_name: Option<PeerName>,
    /// To whom; nobody in particular, if it is a broadcast.
    pub to: Option<PeerId>,
    /// The recipient's name.
    pub to_name: Option<PeerName>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether it was read, of a received one.
    pub read: bool,
    /// Whether it went peer to peer.
    pub direct: bool,
    /// How far it got, of a sent one, as far as is known.
    pub delivery: Option<Delivery>,
    /// What it says.
    pub text: Box<str>,
    /// Whether its sender has signed it, or brought it itself.
    #[serde(default)]
    pub signed: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({}, {} bytes)", self.message, self.text.len())
    }
}

/// Which way leads to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To this address of it.
    Direct(Address),
    /// Through the directory.
    Relayed,
}

/// By what a peer was reached directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum How {
    /// An address that it has announced, or at which the directory sees it.
    Announced,
    /// Both have connected at one moment, each through its router.
    Punched,
    /// It has connected to this side.
    CalledBack,
}

impl How {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
