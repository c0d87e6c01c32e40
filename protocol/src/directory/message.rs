//! Messages between peers through the directory, and who may not send any.

use serde::{Deserialize, Serialize};

use crate::{
    id::{MessageId, PeerId},
    key::PublicKey,
    model::PeerRef,
    name::PeerName,
    signature::Signature,
    time::Timestamp,
};

/// See [`super::Op::Send`]. The same ID again sends nothing more and gets the same answer, for
/// [`crate::limits::MESSAGE_REMEMBERED`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Send {
    /// Drawn by the sender, written down before it is sent.
    pub message: MessageId,
    /// To whom.
    pub to: PeerRef,
    /// What it says, 1 to [`crate::limits::MESSAGE_BYTES_MAX`]; empty if it is sealed.
    #[serde(default)]
    pub text: Box<str>,
    /// What it says, for its recipient alone: see [`crate::sealing`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub sealed: Option<Box<[u8]>>,
}

/// See [`super::Answer::Sent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// To whom.
    pub to: PeerId,
    /// The recipient's name.
    pub to_name: Option<PeerName>,
    /// When the directory took it.
    pub at: Timestamp,
    /// How far it got.
    pub delivery: Delivery,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Delivery {
    /// The recipient's daemon has stored it.
    Delivered,
    /// It waits at the directory.
    Queued,
}

impl Delivery {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A message as it arrives: see [`super::Update::Message`] and [`super::FromDirectory::Broadcast`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxMessage {
    /// The sender's ID for it.
    pub message: MessageId,
    /// Who sent it.
    pub from: PeerId,
    /// The sender's name.
    pub from_name: Option<PeerName>,
    /// When the directory took it.
    pub sent_at: Timestamp,
    /// What it says; empty if it is sealed.
    pub text: Box<str>,
    /// What it says, for its recipient alone: see [`crate::sealing`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub sealed: Option<Box<[u8]>>,
    /// The sender's key, as the directory knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_key: Option<PublicKey>,
    /// Of a broadcast: the sender's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// See [`super::Op::Broadcast`]. It is not kept, and not sent again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Drawn by the sender.
    pub message: MessageId,
    /// What it says, 1 to [`crate::limits::MESSAGE_BYTES_MAX`].
    pub text: Box<str>,
    /// The sender's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// What people write is nobody's business but theirs.
macro_rules! without_text {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({}, {} bytes)"), self.message, self.text.len())
            }
        }
    )*};
}
without_text!(Send, InboxMessage, Broadcast);

/// See [`super::Answer::Blocked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Who.
    pub peer: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Messages of it that were waiting here and are gone.
    pub messages_purged: u64,
    /// Requests of it that were pending and are refused.
    pub requests_purged: u64,
    /// Rights that it has to one's images: they go on until they are revoked.
    pub rights: u64,
}

/// One of those whom a peer has blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Who.
    pub peer: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Since when.
    pub since: Timestamp,
}
