//! What comes of a command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    card::Card,
    directory::{Block, Blocked, Cursor, Delivery, Preview, Request},
    error::WireError,
    id::{ImageId, ImageNo, MessageId, PeerId},
    kind::known_or_none,
    link::JoinLink,
    model::{Address, Allowance, Grant, ImageInfo, ImagePath, PeerInfo},
    name::{ImageName, PeerName},
    record::SignatureState,
    time::Timestamp,
};

use super::{AlbumSummary, Contact, ContactRequest, Explained, How, Invite, Message, Netcheck, Rule, Way};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Done; there is nothing to tell.
    Done,
    /// Of `register`.
    Registered {
        /// The new ID.
        id: PeerId,
        /// The name.
        name: Option<PeerName>,
        /// The directory.
        server: JoinLink,
        /// The invitation that was used with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        joined: Option<Box<Invite>>,
    },
    /// Of `login`, `logout` and `wait`.
    Session {
        /// Which peer.
        id: PeerId,
        /// The session's state.
        state: SessionState,
        /// Updates replayed from while it was away.
        replayed: u64,
    },
    /// Of `status`.
    Status(Box<Status>),
    /// Of `list`.
    Page {
        /// Peers with their images.
        peers: Vec<PeerInfo>,
        /// Where to go on.
        next: Option<Cursor>,
        /// When the directory has shown it, if it is out of reach now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_of: Option<Timestamp>,
    },
    /// Of `newest`: images with their owners, of whom one may come several times.
    Newest {
        /// Peers with their images.
        peers: Vec<PeerInfo>,
        /// Where to go on.
        before: Option<ImageNo>,
    },
    /// Of `resolve` and `unblock`.
    Peer(Box<PeerInfo>),
    /// Of `add` and `rename`.
    Image(Box<ImageInfo>),
    /// Of `add`, if the caller should know something of an image that was added.
    Added {
        /// The image.
        image: Box<ImageInfo>,
        /// What is wrong with it.
        warning: Box<str>,
    },
    /// Of `remove`.
    Removed(ImagePath),
    /// Of `preview`.
    Preview {
        /// Of which image.
        path: ImagePath,
        /// The preview.
        preview: Preview,
        /// What is to be thought of it.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
        signature: Option<SignatureState>,
        /// When the directory has shown it, if it is out of reach now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_of: Option<Timestamp>,
    },
    /// Of `share`.
    Grant(Box<Grant>),
    /// Of `shares`.
    Grants {
        /// Those given.
        given: Vec<Grant>,
        /// Those received.
        received: Vec<Grant>,
        /// What time it is at the directory, as far as is known: by it a grant has expired or not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now: Option<Timestamp>,
    },
    /// Of `request`, `cancel`, `approve` and `deny`.
    Request {
        /// As it stands now.
        request: Box<Request>,
        /// Whether an older pending one was changed instead of a new one made.
        updated: bool,
    },
    /// Of `requests`.
    Requests {
        /// Those that came in.
        incoming: Vec<Request>,
        /// Those that went out.
        outgoing: Vec<Request>,
        /// Peers that want to send direct messages.
        contacts: Vec<ContactRequest>,
    },
    /// Of `approve` and `deny`, of a request for contact.
    Contact(Box<ContactRequest>),
    /// Of `send`.
    Sent {
        /// The message's ID.
        message: MessageId,
        /// To whom.
        to: PeerId,
        /// The recipient's name.
        to_name: Option<PeerName>,
        /// How far it got.
        delivery: Delivery,
        /// Which way, of a direct one.
        way: Option<Way>,
    },
    /// Of `broadcast`: the number of peers that it was sent to.
    Told(u64),
    /// Of `messages`: a page.
    Messages {
        /// In the order of their places.
        messages: Vec<Message>,
        /// Whether there are later ones.
        more: bool,
    },
    /// Of `block`.
    Blocked(Box<Blocked>),
    /// Of `blocks`.
    Blocks(Vec<Block>),
    /// Of `ping`.
    Pong {
        /// Who.
        id: PeerId,
        /// Its name.
        name: Option<PeerName>,
        /// Which way.
        way: Way,
        /// There and back, in microseconds, on a connection that is open.
        round_trip_us: u64,
        /// By what, if that way is direct.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
        how: Option<How>,
    },
    /// Of `explain`.
    Explained(Box<Explained>),
    /// Of `netcheck`.
    Netcheck(Box<Netcheck>),
    /// Of `fetch`.
    Fetched {
        /// Which image.
        path: ImagePath,
        /// The size of the sealed copy in bytes.
        bytes: u64,
        /// Which way it came; nothing if it was here already.
        way: Option<Way>,
        /// There and back on that way, in microseconds, if the owner answers pings.
        round_trip_us: Option<u64>,
    },
    /// Of `view`.
    Viewed {
        /// Which image.
        path: ImagePath,
        /// What it is.
        image_id: ImageId,
        /// The size of the original in bytes.
        bytes: u64,
        /// Views left; unlimited for one's own.
        views_left: Allowance,
    },
    /// Of `checkout` and `checkin`.
    Held {
        /// Which image.
        path: ImagePath,
        /// Views held here now.
        held: u32,
        /// Views left at the directory.
        views_left: Allowance,
    },
    /// Of `card`.
    Card(Card),
    /// Of `contacts`: a piece.
    Contacts(Vec<Contact>),
    /// Of `many`, in the order of its commands.
    Many(Vec<Each>),
    /// Of `group` and `groups`.
    Groups(Vec<Group>),
    /// Of `albums`.
    Albums(Vec<AlbumSummary>),
    /// Of `album`: a page.
    Album {
        /// Images in the order of their names.
        images: Vec<ImageName>,
        /// Whether there are more.
        more: bool,
        /// Who gets what comes into it.
        rules: Vec<Rule>,
    },
    /// Of `later`: the rule as it is, or was.
    Rule(Box<Rule>),
    /// Of `invite`.
    Invitation {
        /// To be given to the guest, and to nobody else.
        link: JoinLink,
        /// The invitation.
        invite: Box<Invite>,
    },
    /// Of `invites` and `revoke_invite`.
    Invites(Vec<Invite>),
    /// Of `join`.
    Joined(Box<Invite>),
    /// Of `name`.
    Named {
        /// Whose.
        id: PeerId,
        /// The name before.
        was: Option<PeerName>,
        /// The name now.
        name: PeerName,
    },
    /// Of `unregister`.
    Unregistered {
        /// Which peer has left.
        id: PeerId,
        /// The name that it had.
        name: Option<PeerName>,
        /// Where what was here is kept: a state directory of its own.
        kept: Box<str>,
    },
    /// Of `news`: the number of the last event that came before.
    News(u64),
    /// Of `gallery`.
    Gallery {
        /// Where it is served.
        address: Address,
        /// Lets one browser in, once.
        token: Box<str>,
    },
    /// Of `gallery`, if it is reached through a proxy.
    GalleryAt {
        /// Where a browser finds it: scheme, host and port, without a slash at its end.
        url: Box<str>,
        /// Lets one browser in, once.
        token: Box<str>,
    },
    /// Of `inspect`, `trust` and `keep_key`.
    Trust {
        /// One's own card, to compare on the other side.
        own: Card,
        /// The other peer.
        contact: Box<Contact>,
    },
}

/// What came of one of many commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// It is done.
    Done(Box<Outcome>),
    /// It failed.
    Failed(WireError),
}

/// A group of peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: PeerName,
    /// Who belongs to it.
    pub members: Vec<Member>,
}

/// A peer that belongs to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its ID.
    pub id: PeerId,
    /// The name by which it is known.
    pub name: Option<PeerName>,
}

/// The state of peerd's session to the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SessionState {
    /// There is no identity yet.
    Unregistered,
    /// Logged out.
    Offline,
    /// Trying to reach the directory.
    Connecting,
    /// Signed in.
    Online,
}

impl SessionState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// See [`Outcome::Status`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's profile.
    pub profile: Box<str>,
    /// The session's state.
    pub state: SessionState,
    /// The peer's ID, once registered.
    pub id: Option<PeerId>,
    /// Its name.
    pub name: Option<PeerName>,
    /// The directory.
    pub server: Option<JoinLink>,
    /// Where the daemon listens for other peers.
    pub listen: Address,
    /// Where the directory tells others to reach it, while online.
    pub address: Option<Address>,
    /// Since when the session has its state.
    pub since: Timestamp,
    /// Why it is not online, if something went wrong.
    pub trouble: Option<Box<str>>,
    /// Updates that are known to wait at the directory.
    pub updates: u64,
    /// Requests of others that wait for an answer.
    pub requests: u64,
    /// Unread messages.
    pub messages: u64,
    /// Updates that a newer directory has made and this version cannot read.
    #[serde(default)]
    pub unknown_updates: u64,
    /// Contacts of which another key than the pinned one was seen.
    #[serde(default)]
    pub key_changes: u64,
    /// Messages that were refused because they are not what their sender has signed.
    #[serde(default)]
    pub refused_messages: u64,
    /// Images that strangers have shared, and with which this peer has not dealt.
    #[serde(default, skip_serializing_if = "crate::model::is_zero")]
    pub offers: u64,
    /// Events that `news` has not shown yet.
    #[serde(default, skip_serializing_if = "crate::model::is_zero")]
    pub news: u64,
    /// peerd's version.
    pub version: Box<str>,
    /// The state directory; on the wire without what of its name is not UTF-8.
    #[serde(serialize_with = "lossy")]
    pub state_dir: PathBuf,
    /// The password has to be set once more.
    #[serde(default)]
    pub password_again: bool,
    /// What its user should know even if no one watched when it happened, the last one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

/// See [`Status::notes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it happened.
    pub at: Timestamp,
    /// For people.
    pub text: Box<str>,
}

fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
