//! Events, for watchers.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    directory::{Notice, Presence, Request, ViewedKind},
    id::PeerId,
    model::{Grant, ImagePath},
    name::{ImageName, PeerName},
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
    /// Of `news`: whether it was shown before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
}

impl Event {
    /// What happens now, for those who watch.
    #[must_use]
    pub const fn new(at: Timestamp, what: EventKind) -> Self {
        Self { at, what, seen: None }
    }
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
    /// An image for which one has a grant has another name.
    Renamed {
        /// As it is called now.
        path: ImagePath,
        /// As it was called.
        was: ImageName,
        /// The owner's name.
        owner_name: Option<PeerName>,
    },
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
    /// What became of an image of another peer.
    Image(Box<ImageChange>),
    /// A contact has another name at the directory.
    Named {
        /// Who.
        id: PeerId,
        /// Its name now.
        name: PeerName,
        /// The name before, as far as it was known.
        was: Option<PeerName>,
    },
    /// A contact has left the directory for good.
    Left {
        /// Who.
        id: PeerId,
        /// The name that it had, as far as it was known.
        name: Option<PeerName>,
    },
}

/// See [`EventKind::Image`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChange {
    /// The image as it is called now, or was called last.
    pub path: ImagePath,
    /// Its owner's name.
    pub owner_name: Option<PeerName>,
    /// What became of it.
    pub change: ImageChanged,
    /// The name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<ImageName>,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImageChanged {
    /// It is new, or not private any more.
    Added,
    /// Another picture has taken its place.
    Replaced,
    /// It has another name.
    Renamed,
    /// It is gone, or private now.
    Removed,
}

impl ImageChanged {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
