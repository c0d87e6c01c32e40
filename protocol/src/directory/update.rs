//! What the directory tells a peer without being asked: updates, which are kept until they are acknowledged, and notices,
//! which are not.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::{Greeted, InboxMessage, Request};
use crate::{
    id::{ImageNo, MessageId, PeerId, ViewId},
    model::{Grant, ImagePath},
};

/// What the directory owes a peer: a row of its inbox. Each carries the whole state, so that the last one is the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Update {
    /// A grant was created, changed or revoked, or its image was renamed or replaced. To its owner and its viewer.
    Grant(Box<Grant>),
    /// Views were spent or given back. To the owner: the receipt.
    Viewed(Box<Viewed>),
    /// An image is gone, and with it every grant and every pending request. To its owner, and to the peers that had a
    /// grant for it or a request.
    Removed {
        /// Which.
        image: ImageNo,
        /// Its owner and its last name.
        path: ImagePath,
    },
    /// An image has another name. To its owner; holders of a grant get that as [`Update::Grant`].
    Renamed {
        /// Which.
        image: ImageNo,
        /// Its owner and its new name.
        path: ImagePath,
    },
    /// A request was made, changed or withdrawn. To the owner and the requester.
    Request(Box<Request>),
    /// A request was answered. To the requester and the owner.
    Decision(Box<Request>),
    /// A message. To its recipient.
    Message(Box<InboxMessage>),
    /// Nothing: what stood here is gone. The number remains, so that there is no gap.
    Void,
    /// A message that the sender was told is queued was stored by its recipient. To its sender.
    Delivered(Box<Delivered>),
    /// The operator has done something that concerns the peer: what and why. To that peer.
    Operator(Box<str>),
    /// A word of the peer that has invited this one, or that this one has invited. To that peer.
    Greeting(Box<Greeted>),
}

/// See [`Update::Delivered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The sender's ID for it.
    pub message: MessageId,
    /// Its recipient.
    pub to: PeerId,
}

/// See [`Update::Viewed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Viewed {
    /// The viewer's view ID.
    pub view: ViewId,
    /// The number of views.
    pub views: u32,
    /// What happened to them.
    pub kind: ViewedKind,
    /// The grant after that.
    pub grant: Grant,
}

/// What happened to views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ViewedKind {
    /// Spent for a view.
    View,
    /// Spent for a checkout.
    Checkout,
    /// Given back from a checkout.
    Checkin,
    /// Held under a checkout by a state of the viewer that was put back from a copy: they stay counted, and are not held any more.
    GivenUp,
}

impl ViewedKind {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Update {
    /// What kind it is, as on the wire: one of a fixed few, and nothing of what it says.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Something that the peer should know and that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What kind.
    pub kind: NoticeKind,
    /// For people.
    pub text: Box<str>,
}

/// See [`Notice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The directory stops, now or at the time that the text tells; it may come back.
    Shutdown,
    /// Another daemon has taken over the ID; do not come back by yourself.
    TakenOver,
    /// The same daemon has connected anew; this connection is the old one.
    Superseded,
    /// The operator has ended the session.
    Kicked,
    /// The peer asked nothing for longer than the operator allows; do not come back by yourself.
    Idle,
    /// The key of the ID was replaced: this one is not registered any more. Only directories of the first release do that.
    Replaced,
    /// Something happened faster than it could be reported. peerd says it to watchers; the directory does not.
    Missed,
    /// Data was restored, and what that has cost. peerd says it to watchers; the directory does not.
    Restored,
    /// The operator has something to say; the session goes on. A kind that a newer directory knows is read as this one.
    #[serde(other)]
    Announcement,
}
