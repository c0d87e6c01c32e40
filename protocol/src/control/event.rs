//! Events, for watchers.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    directory::{Notice, Presence, Request, ViewedKind},
    model::{Grant, ImagePath},
    time::Timestamp,
};

use super::{Contact, ContactRequest, Invite, Message, SessionState};

/// Something that happened, for `watch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: EventKind,
}

/// See [`Event`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// This daemon's own session changed its state.
    Session(SessionState),
    /// A grant was created, changed or revoked.
    Grant(Box<Grant>),
    /// Somebody spent or gave back views of one's image.
    Viewed {
        /// How many.
        views: u32,
        /// What happened to them.
        kind: ViewedKind,
        /// The grant after that.
        grant: Box<Grant>,
    },
    /// An image for which one had a grant is gone.
    Removed(ImagePath),
    /// A sealed copy has arrived.
    Fetched(ImagePath),
    /// A request for access was made, changed or withdrawn.
    Request(Box<Request>),
    /// One's own request was answered.
    Decision(Box<Request>),
    /// The directory has something to say.
    Notice(Notice),
    /// A peer went online or offline.
    Presence(Presence),
    /// A message has arrived.
    Message(Box<Message>),
    /// Somebody wants to send direct messages.
    Contact(Box<ContactRequest>),
    /// A peer appears with another key than the pinned one. Nothing is given to it or believed of it.
    KeyChange(Box<Contact>),
    /// An invitation was used, or answered.
    Invite(Box<Invite>),
}
