//! What dosctl and peerd say to each other over the local socket, in the same frames as everywhere.
//!
//! One connection carries one command: [`ToPeerd::Do`], followed by [`ToPeerd::Data`] where the command brings a file.
//! peerd answers with any number of [`FromPeerd::Progress`], [`FromPeerd::Data`] and [`FromPeerd::Event`], and ends with
//! [`FromPeerd::Done`] or [`FromPeerd::Failed`]; after the `Done` of a `view` dosctl says [`ToPeerd::Shown`] and waits for
//! peerd to hang up, which it does once that is written down. When dosctl hangs up, the command is given up where that is possible.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    directory::{Asked, Cursor, Notice, Preview, ViewedKind, ViewsChange},
    error::WireError,
    id::{ImageId, PeerId},
    link::JoinLink,
    model::{Address, Allowance, Grant, ImageArg, ImageInfo, ImagePath, PeerInfo, PeerRef},
    name::{ImageName, PeerName},
    time::Timestamp,
};

/// From dosctl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToPeerd {
    /// The command.
    Do(Box<Command>),
    /// A piece of the file that the command brings, at most [`crate::limits::DATA_BYTES_MAX`]. An empty one ends it.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The picture of a `view` has been shown: the file is in place, or everything is written. Until then peerd
    /// regards the view as not finished, and the next `view` of the image goes on with it without spending another.
    Shown,
}

/// What dosctl wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Signs up.
    Register {
        /// Where.
        server: JoinLink,
        /// Under which name.
        name: Option<PeerName>,
    },
    /// Goes online and stays so.
    Login {
        /// Takes over from another live session of the same ID.
        force: bool,
    },
    /// Goes offline and stays so.
    Logout,
    /// How things stand.
    Status,
    /// Waits until the session is online, or offline.
    Wait {
        /// Which.
        online: bool,
        /// For how long at most.
        timeout: Option<Duration>,
    },
    /// A page of peers and their images.
    List(ListQuery),
    /// One peer.
    Resolve(PeerRef),
    /// Publishes the image whose bytes follow.
    Add {
        /// Under which name.
        name: ImageName,
        /// Takes the place of an image of the same name.
        replace: bool,
    },
    /// Withdraws an image of one's own.
    Remove(ImageName),
    /// Renames an image of one's own.
    Rename {
        /// Which.
        name: ImageName,
        /// Its new name.
        new: ImageName,
    },
    /// The preview of an image; its bytes come in the answer.
    Preview(ImageArg),
    /// Gives, changes or takes back a right.
    Share {
        /// To which image of one's own.
        name: ImageName,
        /// Whose right.
        viewer: PeerRef,
        /// What becomes of the views.
        views: ViewsChange,
        /// For how long from now.
        expires: Option<Duration>,
    },
    /// The rights that one has given or received.
    Shares {
        /// Those given.
        given: bool,
        /// Those received.
        received: bool,
    },
    /// Asks for access or for more views.
    Request {
        /// To which image.
        image: ImageArg,
        /// How many views.
        views: u32,
        /// A word to the owner.
        note: Option<Box<str>>,
    },
    /// Withdraws a request.
    Cancel(u64),
    /// The requests that came in or went out.
    Requests {
        /// Those that came in.
        incoming: bool,
        /// Those that went out.
        outgoing: bool,
        /// Answered ones too.
        all: bool,
    },
    /// Grants a request.
    Approve {
        /// Which.
        request: u64,
        /// As many views as asked, if not said.
        views: Option<u32>,
    },
    /// Refuses a request.
    Deny {
        /// Which.
        request: u64,
        /// A word to the asker.
        reason: Option<Box<str>>,
    },
    /// Brings a sealed copy here.
    Fetch(ImageArg),
    /// Spends one view; the original's bytes come as data.
    View {
        /// Of which image.
        image: ImageArg,
        /// Uses a held view, without the directory.
        offline: bool,
    },
    /// Spends views up front and holds them.
    Checkout {
        /// Of which image.
        image: ImageArg,
        /// How many.
        views: u32,
    },
    /// Gives held views back.
    Checkin(ImageArg),
    /// Events as they happen, until dosctl hangs up.
    Watch,
}

/// See [`Command::List`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ListQuery {
    /// One peer only.
    pub peer: Option<PeerRef>,
    /// Only this peer itself.
    pub mine: bool,
    /// Only peers that are online.
    pub online: bool,
    /// Only peers that are online or were within this time.
    pub since: Option<Duration>,
    /// Where the last page ended.
    pub after: Option<Cursor>,
    /// Entries wanted.
    pub limit: Option<u32>,
}

/// From peerd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromPeerd {
    /// How far a transfer is.
    Progress(Progress),
    /// A piece of the original.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Something happened.
    Event(Box<Event>),
    /// The command is done.
    Done(Box<Outcome>),
    /// It failed.
    Failed(WireError),
}

/// How far a transfer is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is going on.
    pub step: Step,
    /// So much is done.
    pub done: u64,
    /// Of so much.
    pub total: u64,
}

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The sealed copy comes from its owner.
    Fetching,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    },
    /// Of `resolve`.
    Peer(Box<PeerInfo>),
    /// Of `add` and `rename`.
    Image(Box<ImageInfo>),
    /// Of `remove`.
    Removed(ImagePath),
    /// Of `preview`.
    Preview {
        /// Of which image.
        path: ImagePath,
        /// The preview.
        preview: Preview,
    },
    /// Of `share`.
    Grant(Box<Grant>),
    /// Of `shares`.
    Grants {
        /// Those given.
        given: Vec<Grant>,
        /// Those received.
        received: Vec<Grant>,
    },
    /// Of `request`, `cancel`, `approve` and `deny`.
    Request {
        /// As it stands now.
        request: Box<Asked>,
        /// Whether an older pending one was changed instead of a new one made.
        updated: bool,
    },
    /// Of `requests`.
    Requests {
        /// Those that came in.
        incoming: Vec<Asked>,
        /// Those that went out.
        outgoing: Vec<Asked>,
    },
    /// Of `fetch`.
    Fetched {
        /// Which image.
        path: ImagePath,
        /// The size of the sealed copy in bytes.
        bytes: u64,
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
}

/// The state of peerd's session to the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
        match self {
            Self::Unregistered => "unregistered",
            Self::Offline => "offline",
            Self::Connecting => "connecting",
            Self::Online => "online",
        }
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
    /// peerd's version.
    pub version: Box<str>,
    /// The state directory.
    pub state_dir: PathBuf,
}

/// Something that happened, for `watch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// See [`Event`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// This daemon's own session changed its state.
    Session(SessionState),
    /// A right was given, changed or taken back.
    Grant(Box<Grant>),
    /// Somebody spent or gave back views of one's image.
    Viewed {
        /// How many.
        views: u32,
        /// What happened to them.
        kind: ViewedKind,
        /// The right after that.
        grant: Box<Grant>,
    },
    /// An image to which one had a right is gone.
    Removed(ImagePath),
    /// A sealed copy has arrived.
    Fetched(ImagePath),
    /// Somebody asks for access, or asks no more.
    Request(Box<Asked>),
    /// One's own request was answered.
    Decision(Box<Asked>),
    /// The directory has something to say.
    Notice(Notice),
}
