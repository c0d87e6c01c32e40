//! Invites that peers make, and what an inviter and its guest say to each other.

use serde::{Deserialize, Serialize};

use super::Blob;
use crate::{id::PeerId, time::Timestamp};

/// See [`super::Op::Invite`]. The directory gets to see the code when it is used, and not before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The BLAKE3 hash of the code, which its maker has drawn.
    #[serde(with = "serde_bytes")]
    pub hash: [u8; 32],
    /// The code's first [`crate::invite::PREFIX_CHARS`] characters, by which an operator tells invites apart.
    pub prefix: Box<str>,
    /// For how long it is wanted; at most [`crate::limits::INVITE_TIME`].
    pub lasts_ms: u64,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invite({}..)", self.prefix)
    }
}

/// See [`super::Answer::Invited`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Whether a newcomer needs an invite at all; if not, none was made.
    pub needed: bool,
    /// Until when it lets somebody in.
    pub expires_at: Timestamp,
}

/// See [`super::Op::Greet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greet {
    /// To whom.
    pub to: PeerId,
    /// A [`crate::invitation::Greeting`], which the directory does not read.
    pub greeting: Blob,
}

/// See [`super::Update::Greeting`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeted {
    /// From whom.
    pub from: PeerId,
    /// As in [`Greet`].
    pub greeting: Blob,
}
