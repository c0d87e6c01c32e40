//! Between the nodes of one directory: who is online where, and what reaches a peer at another node.
//!
//! Every node calls every other one, over TLS 1.3 in which both sides prove the directory's own key. On the connection that it has
//! made a node tells and asks ([`ToNode`]), and the other one answers ([`FromNode`]) in any order. Nothing here is what a decision
//! rests on: counts, inboxes and the place of a session are decided in the store, and a node that has missed something reads it
//! there.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    directory::{Call, Notice, NoticeKind, PeerNews, RendezvousCall, Update},
    frame,
    id::{Instance, PeerId, Seq},
    kind::known_or_none,
    model::{Address, SessionEnd},
    name::PeerName,
    time::Timestamp,
};

/// One run of a node: drawn at random at each start, so that a node that is started anew leaves no ghost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u64);

impl NodeId {
    /// How many different ones there are: what fits a database's signed integers.
    pub const COUNT: u64 = 1 << 62;

    /// The one with this number, which is not 0.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        (1..Self::COUNT).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A peer that is online, and at which session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Who.
    pub peer: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// The number of its session: of two of one peer the higher one is the newer.
    pub session: u64,
    /// Which run of its daemon.
    pub instance: Instance,
    /// The address that its session comes from, with the port on which it listens: 0 if it cannot be reached.
    pub seen: Address,
    /// What can lead to it, the likeliest first.
    pub addresses: Vec<Address>,
    /// Since when.
    pub since: Timestamp,
    /// From where its session comes, with the port of that, if it takes part in a rendezvous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Address>,
}

/// A block that was made or lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocking {
    /// The peer that blocks.
    pub blocker: PeerId,
    /// The peer that is blocked.
    pub blocked: PeerId,
    /// Whether the block stands from now on.
    pub is_on: bool,
}

/// A row that was committed to the inbox of a peer at the called node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// Whose inbox.
    pub peer: PeerId,
    /// Its number.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// What it says.
    pub update: Update,
}

/// From the node that has called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToNode {
    /// First of all: who calls whom.
    Hello {
        /// The caller.
        from: NodeId,
        /// The one that is meant.
        to: NodeId,
    },
    /// A part of all who are online at the caller. After the last one nobody else is.
    All {
        /// Some of them.
        peers: Vec<Resident>,
        /// Whether these are the last.
        is_last: bool,
    },
    /// A peer came online at the caller.
    Arrived(Box<Resident>),
    /// A session of a peer has ended at the caller.
    Left {
        /// Whose.
        peer: PeerId,
        /// Which.
        session: u64,
        /// When.
        at: Timestamp,
        /// Why.
        #[serde(deserialize_with = "known_or_none")]
        end: Option<SessionEnd>,
    },
    /// A row for a peer at the called node.
    Update(Box<Owed>),
    /// There were more rows and blocks than could be sent: the store has them.
    Missed,
    /// A block was made or lifted.
    Block(Blocking),
    /// A peer at the caller has done something that those who follow it at the called node get.
    News {
        /// What.
        news: Box<PeerNews>,
        /// Who is owed an update of it, at most [`crate::limits::NEWS_EXCEPT_MAX`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        except: Vec<PeerId>,
    },
    /// Something that is answered.
    Ask {
        /// The number of the answer.
        id: u32,
        /// What.
        ask: Ask,
    },
}

/// The number of an ask in a message that cannot be read, of a node of a later version: it waits for an answer.
#[must_use]
pub fn asked(body: &[u8]) -> Option<u32> {
    /// As much of an ask as is needed to answer it.
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Head {
        Ask { id: u32 },
    }
    frame::decode(body).ok().map(|Head::Ask { id }| id)
}

/// What a node asks of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Ask {
    /// Whether it is there, and that it has done what it was told before.
    Ready,
    /// To end the session of a peer, and to answer when it has ended.
    Close {
        /// Whose.
        peer: PeerId,
        /// Only if its session is older than this one.
        before: Option<u64>,
        /// What the peer is told.
        notice: Notice,
    },
    /// To end every session but that of one peer.
    CloseAll {
        /// Whose session stays.
        except: Option<PeerId>,
        /// What they are told.
        notice: Notice,
    },
    /// How long a peer takes to answer.
    Ping(PeerId),
    /// To notify a peer of a call.
    Call {
        /// Whom.
        peer: PeerId,
        /// Of which.
        call: Call,
    },
    /// To notify a peer of a rendezvous. The answer is how long that peer takes to answer ([`Told::Micros`]).
    Rendezvous {
        /// Whom.
        peer: PeerId,
        /// Of which. When it is to begin is for the called node to say.
        call: Box<RendezvousCall>,
        /// How long the caller takes to answer, in microseconds.
        round_trip_us: u64,
    },
    /// To answer when a peer has stored a row.
    Stored {
        /// Who.
        peer: PeerId,
        /// Which.
        seq: Seq,
    },
    /// To say something to everybody.
    Say {
        /// What kind of notice.
        kind: NoticeKind,
        /// The text.
        text: Box<str>,
    },
    /// To pass a broadcast on.
    Broadcast {
        /// Whose.
        from: PeerId,
        /// The frame for the peers.
        #[serde(with = "serde_bytes")]
        frame: Vec<u8>,
    },
}

/// From the node that was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FromNode {
    /// It is the one that was meant.
    Welcome,
    /// The answer to an [`ToNode::Ask`].
    Answer {
        /// Of which number.
        id: u32,
        /// What.
        answer: Told,
    },
}

/// An answer of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Told {
    /// It is done; or nothing came of it.
    Done(bool),
    /// So many were told.
    Count(u64),
    /// It took so long, in microseconds.
    Micros(u64),
    /// The called node does not know what it was asked.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_asks_can_be_answered() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Later {
            Ask { id: u32, ask: &'static str, more: u32 },
            Tell { id: u32 },
        }
        let body = |message: &Later| frame::to_frame(message).unwrap().split_off(4);
        let ask = body(&Later::Ask { id: 7, ask: "dance", more: 1 });
        assert!(frame::decode::<ToNode>(&ask).is_err());
        assert_eq!(asked(&ask), Some(7));
        assert_eq!(asked(&body(&Later::Tell { id: 7 })), None);
    }

    #[test]
    fn a_node_has_a_number_that_every_database_holds() {
        assert_eq!(NodeId::from_number(0), None);
        assert_eq!(NodeId::from_number(NodeId::COUNT), None);
        assert_eq!(NodeId::from_number(255).unwrap().to_string(), "00000000000000ff");
    }
}
