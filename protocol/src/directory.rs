//! What a peer and the directory say to each other (`dos/1`).
//!
//! The peer sends [`ToDirectory`], the directory [`FromDirectory`]. The first request is `register` or `sign_in`; any
//! other is refused before. Requests carry an ID that the peer chooses; answers may come in another order, and pushes
//! between them. Updates come in the order of their numbers, without gaps, and again after a reconnection until they
//! are acknowledged.

mod read;
mod update;

pub use read::read_request;
pub use update::{Notice, NoticeKind, Update, Viewed, ViewedKind};

use serde::{Deserialize, Serialize};

use crate::{
    error::WireError,
    id::{ImageId, ImageNo, Instance, PeerId, SealedHash, Seq, SplitId, ViewId},
    key::PublicKey,
    model::{
        Address, Allowance, Format, Grant, ImageArg, ImageInfo, ImagePath, Original, PeerInfo, PeerRef,
        PreviewInfo, SealedCopy,
    },
    name::{ImageName, PeerName},
    time::Timestamp,
};

/// From a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToDirectory {
    /// Wants an answer.
    Request {
        /// Comes back with the answer.
        id: u32,
        /// What is asked.
        op: Op,
    },
    /// Every update up to this one is stored; the directory may forget them.
    Ack(Seq),
    /// Answers a ping.
    Pong(u32),
}

/// From the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromDirectory {
    /// Answers a request.
    Answer {
        /// Which.
        id: u32,
        /// What came of it.
        answer: Answer,
    },
    /// Refuses a request, or, without an ID, a message that was none.
    Refused {
        /// Which.
        id: Option<u32>,
        /// Why.
        error: WireError,
    },
    /// An update from the inbox.
    Update {
        /// Its place in the inbox.
        seq: Seq,
        /// When it came about.
        at: Timestamp,
        /// What it says.
        update: Update,
    },
    /// Wants a pong with the same number.
    Ping(u32),
    /// Something that the peer should know and that is not kept.
    Notice(Notice),
}

/// What a peer asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Binds the connection's key to a new ID, and signs in. The same key again gets the same ID.
    Register(Register),
    /// Signs in as the peer whose key the connection has.
    SignIn(SignIn),
    /// Signs out; the directory closes the connection after its answer.
    SignOut,
    /// A page of peers and their images.
    List(List),
    /// One peer, without its images.
    Resolve(PeerRef),
    /// What it takes to connect to a peer.
    Contact(PeerId),
    /// Who holds this key.
    Identify(PublicKey),
    /// One image.
    Image(ImageArg),
    /// The preview of an image.
    Preview(ImageArg),
    /// Makes an image known, or replaces one.
    Publish(Box<Publish>),
    /// Withdraws an image and every right to it.
    Remove(ImageNo),
    /// Gives an image another name.
    Rename {
        /// Which.
        image: ImageNo,
        /// Its new name.
        name: ImageName,
    },
    /// Gives, changes or takes back a right.
    Share(Share),
    /// A right as it is now; the asker is its owner or its viewer.
    Right {
        /// To which image.
        image: ImageNo,
        /// Whose.
        viewer: PeerId,
    },
    /// Spends views.
    Spend(Spend),
    /// Gives back unused views of a checkout.
    Checkin(Checkin),
    /// Asks an owner for access or for more views.
    Ask(Ask),
    /// Withdraws one's own pending request.
    Cancel(u64),
    /// Answers a request.
    Decide(Decide),
}

/// See [`Op::Register`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// The name wanted, if any.
    pub name: Option<PeerName>,
    /// The invite, where the directory wants one.
    pub invite: Option<Box<str>>,
    /// As in [`SignIn`].
    pub sign_in: SignIn,
}

/// See [`Op::SignIn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignIn {
    /// This run of the daemon.
    pub instance: Instance,
    /// The port on which it listens for other peers; together with the address that the directory sees, that is where
    /// it is reached.
    pub port: u16,
    /// Further addresses at which it can be reached, at most [`crate::limits::ADDRESSES_MAX`].
    pub addresses: Vec<Address>,
    /// Takes over from another live session of the same ID.
    pub force: bool,
    /// The last update that it has stored: the directory may forget those up to it.
    pub stored: Seq,
}

/// See [`Op::List`]. An entry of a page is an image, or a peer without any; a peer whose images do not fit a page
/// comes again on the next one with the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// One peer only.
    pub peer: Option<PeerRef>,
    /// Peers that are online, or were at this moment or later.
    pub seen_since: Option<Timestamp>,
    /// Peers that are online.
    pub online: bool,
    /// Where the last page ended.
    pub after: Option<Cursor>,
    /// Entries wanted, at most [`crate::limits::PAGE_MAX`].
    pub limit: u32,
}

/// Where a page of a listing ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last peer on it.
    pub peer: PeerId,
    /// Its last image on it; nothing if all of its images were.
    pub image: Option<ImageName>,
}

/// See [`Op::Publish`]. Sent again with the same sealed copy it changes nothing and gets the same answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// Under which name.
    pub name: ImageName,
    /// What it is.
    pub original: Original,
    /// Its sealed copy.
    pub sealed: SealedCopy,
    /// Its preview.
    pub preview: Preview,
    /// Takes the place of an image of the same name, whose rights go on.
    pub replace: bool,
}

/// A preview.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Its format.
    pub format: Format,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Its bytes, at most [`crate::limits::PREVIEW_BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Preview({}, {}x{}, {} bytes)",
            self.format.as_str(),
            self.width,
            self.height,
            self.data.len()
        )
    }
}

impl Preview {
    /// What is known of it without seeing it.
    #[must_use]
    pub fn info(&self) -> PreviewInfo {
        let bytes = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        PreviewInfo { format: self.format, width: self.width, height: self.height, bytes }
    }
}

/// See [`Op::Share`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// To which image.
    pub image: ImageNo,
    /// Whose right.
    pub viewer: PeerRef,
    /// What becomes of the views.
    pub views: ViewsChange,
    /// What becomes of the time.
    pub expiry: ExpiryChange,
    /// The directory's share of the content key; used only if the viewer has no live right yet, else the old one goes
    /// on. Not needed to take back a right.
    pub key: Option<KeyShare>,
}

/// What becomes of a right's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewsChange {
    /// As they are. There must be a right.
    Keep,
    /// So many are left from now on.
    Set(Allowance),
    /// So many more; on an unlimited right nothing changes.
    Add(u32),
    /// The right ends, and with it the directory's share of the key.
    Revoke,
}

/// What becomes of a right's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryChange {
    /// As it is.
    Keep,
    /// Until this moment.
    At(Timestamp),
}

/// The directory's share of a content key under one splitting.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyShare {
    /// Which splitting.
    pub split: SplitId,
    /// 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
}

impl std::fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyShare({:?}, ..)", self.split)
    }
}

/// See [`Op::Spend`]. The same view ID again counts nothing more and gets the same answer, as long as the right lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spend {
    /// Of which image.
    pub image: ImageNo,
    /// Drawn by the viewer, written down before it is sent.
    pub view: ViewId,
    /// One for a view, more for a checkout.
    pub views: u32,
    /// For now, or to be held.
    pub kind: SpendKind,
    /// The splitting of the owner share that the viewer holds; another one is refused as stale.
    pub split: SplitId,
    /// The sealed copy that the viewer holds and has verified; another one is refused as stale.
    pub sealed: SealedHash,
}

/// What views are spent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendKind {
    /// A view that is shown now.
    View,
    /// Views held by the viewer's daemon for use without the directory.
    Checkout,
}

/// See [`Op::Checkin`]. Sent again it changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkin {
    /// Of which image.
    pub image: ImageNo,
    /// The view ID of the checkout.
    pub checkout: ViewId,
    /// How many of its views were not used.
    pub unused: u32,
}

/// See [`Op::Ask`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Which image.
    pub image: ImageArg,
    /// How many views; unlimited is for the owner to offer.
    pub views: u32,
    /// A word to the owner, at most [`crate::limits::TEXT_BYTES_MAX`].
    pub note: Option<Box<str>>,
}

/// See [`Op::Decide`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decide {
    /// Which request.
    pub request: u64,
    /// The answer.
    pub decision: Decision,
}

/// An owner's answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Adds views to the right, or gives it.
    Approve {
        /// As many as asked, if not said.
        views: Option<u32>,
        /// As in [`Share::key`].
        key: KeyShare,
    },
    /// Refuses.
    Deny {
        /// A word to the viewer, at most [`crate::limits::TEXT_BYTES_MAX`].
        reason: Option<Box<str>>,
    },
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; there is nothing to tell.
    Done,
    /// Signed in.
    SignedIn(SignedIn),
    /// A page of a listing.
    Page(Page),
    /// A peer.
    Peer(Box<PeerInfo>),
    /// What it takes to connect to a peer.
    Contact(Contact),
    /// An image.
    Image(Box<ImageInfo>),
    /// An image's preview.
    Preview(PreviewOf),
    /// A right as it is now.
    Grant(Box<Grant>),
    /// Views were spent.
    Spent(Box<Spent>),
    /// A request as it is now.
    Request(Box<Asked>),
}

/// See [`Answer::SignedIn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The peer's ID.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Where the directory tells others to reach it.
    pub address: Address,
    /// Updates after this one are sent. It is the one that the peer has stored, or a later one if the directory was told
    /// that later ones are stored and has forgotten them: then the peer has lost some of its own state.
    pub since: Seq,
    /// The last update in its inbox: when it has come, the replay is over.
    pub latest: Seq,
}

/// See [`Answer::Page`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Peers in the order of their IDs, each with its images in the order of their names.
    pub peers: Vec<PeerInfo>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// See [`Answer::Contact`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub id: PeerId,
    /// The key that it must prove to hold.
    pub key: PublicKey,
    /// Where it can be reached, the likeliest first; empty while it is offline.
    pub addresses: Vec<Address>,
}

/// See [`Answer::Preview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewOf {
    /// Of which image.
    pub path: ImagePath,
    /// What the original is.
    pub image_id: ImageId,
    /// The preview itself.
    pub preview: Preview,
}

/// See [`Answer::Spent`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The directory's share of the content key, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
    /// The right as it is now.
    pub grant: Grant,
}

impl std::fmt::Debug for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spent").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// A request for access, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its number.
    pub request: u64,
    /// For which image.
    pub image: ImageNo,
    /// Its owner and its name.
    pub path: ImagePath,
    /// The owner's name.
    pub owner_name: Option<PeerName>,
    /// Who asks.
    pub from: PeerId,
    /// The asker's name.
    pub from_name: Option<PeerName>,
    /// How many views are asked for, or were granted.
    pub views: u32,
    /// Where it stands.
    pub state: AskState,
    /// The asker's word.
    pub note: Option<Box<str>>,
    /// The owner's word.
    pub reason: Option<Box<str>>,
    /// When it was first asked.
    pub created_at: Timestamp,
    /// When it was answered or cancelled.
    pub decided_at: Option<Timestamp>,
    /// How often it has changed.
    pub revision: u64,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskState {
    /// The owner has not answered.
    Pending,
    /// The owner gave views.
    Approved,
    /// The owner refused.
    Denied,
    /// The asker withdrew it.
    Cancelled,
}

impl AskState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests;
