//! What a peer and the directory say to each other (`dos/1`).
//!
//! The peer sends [`ToDirectory`], the directory [`FromDirectory`]. The first request is `register` or `sign_in`; any
//! other is refused before. Requests carry an ID that the peer chooses; answers may come in another order, and pushes
//! between them. Updates come in the order of their numbers, without gaps, and again after a reconnection until they
//! are acknowledged.

mod healing;
mod listing;
mod message;
mod name;
mod password;
mod presence;
mod publish;
mod reach;
mod read;
mod sign_in;
mod update;

pub use healing::{
    Asserted, AssertedCheckout, AssertedGrant, AssertedImage, Assertion, Attempt, DataState, PeerState,
    Proof, Reclaim,
};
pub use listing::{Cursor, List, Page};
pub use message::{Block, Blocked, Broadcast, Delivery, InboxMessage, Send, Sent};
pub use password::{Blob, BlobError, Escrow, LoggedIn, LoginStart};
pub use presence::{Changes, Presence, Subscription};
pub use publish::{Preview, PreviewOf, Publish, Sign};
pub use reach::{Call, Contact, RELAY_MAGIC, RELAY_OPEN, Ticket};
pub use read::{Incoming, UnknownUpdate, read_message, read_request};
pub use sign_in::{Recover, Register, SignIn, SignedIn};
pub use update::{Delivered, Notice, NoticeKind, Update, Viewed, ViewedKind};

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::{
    error::WireError,
    id::{ImageNo, OperationId, PeerId, SealedHash, Seq, ShareCheck, SplitId, ViewId},
    key::PublicKey,
    model::{Allowance, Grant, ImageArg, ImageInfo, ImagePath, PeerInfo, PeerRef},
    name::{ImageName, PeerName},
    password::Password,
    record::ImageRecord,
    time::Timestamp,
};

/// From a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToDirectory {
    /// Wants an answer.
    Request {
        /// Comes back with the answer.
        id: u32,
        /// What is asked.
        op: Op,
        /// Of a change: the same one again is not done again and gets the same answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<OperationId>,
    },
    /// Every update up to this one is stored; the directory may forget them.
    Ack(Seq),
    /// Answers a ping.
    Pong(u32),
}

impl ToDirectory {
    /// A request without an operation ID.
    #[must_use]
    pub fn request(id: u32, op: Op) -> Self {
        Self::Request { id, op, operation: None }
    }
}

/// From the directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// Changes of presence, of the peers that this one follows.
    Presence(Changes),
    /// A broadcast of another peer.
    Broadcast(Box<InboxMessage>),
    /// Another peer calls through the relay.
    Call(Call),
}

/// What a peer asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Op {
    /// Binds the connection's key to a new ID, and signs in. The same key again gets the same ID.
    Register(Register),
    /// Signs in as the peer whose key the connection has.
    SignIn(SignIn),
    /// Of peers of the first release, which had the directory see the password: refused.
    Recover(Box<Recover>),
    /// Signs out; the directory closes the connection after its answer.
    SignOut,
    /// A page of peers and their images.
    List(List),
    /// One peer, without its images.
    Resolve(PeerRef),
    /// What it takes to connect to a peer.
    Contact(PeerId),
    /// The peer that holds this key.
    Identify(PublicKey),
    /// One image.
    Image(ImageArg),
    /// The preview of an image.
    Preview(ImageArg),
    /// Makes an image known, or replaces one.
    Publish(Box<Publish>),
    /// Withdraws an image and every grant for it.
    Remove(ImageNo),
    /// Gives an image another name.
    Rename {
        /// Which.
        image: ImageNo,
        /// Its new name.
        name: ImageName,
        /// The owner's word for the image under that name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<Box<ImageRecord>>,
    },
    /// Creates, changes or revokes a grant.
    Share(Share),
    /// A grant as it is now, for its owner or its viewer.
    #[serde(rename = "right")]
    #[strum(serialize = "right")]
    Grant {
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
    #[serde(rename = "ask")]
    #[strum(serialize = "ask")]
    Request(RequestAccess),
    /// Withdraws one's own pending request.
    Cancel(u64),
    /// Answers a request.
    Decide(Decide),
    /// The grants that one has given and received, in pages: for a daemon that has lost its own list.
    #[serde(rename = "rights")]
    #[strum(serialize = "rights")]
    Grants {
        /// The last grant of the last page: its image and its viewer.
        after: Option<(ImageNo, PeerId)>,
    },
    /// The pending requests that one has made and received, in pages.
    #[serde(rename = "asks")]
    #[strum(serialize = "asks")]
    Requests {
        /// The last request of the last page.
        after: Option<u64>,
    },
    /// Of peers of the first release. Setting a password so is refused, because the directory would see it; removing it is not.
    SetPassword(Option<Password>),
    /// The peers whose presence one follows from now on.
    Subscribe(Subscription),
    /// Sends a message; kept for a peer that is offline.
    Send(Send),
    /// Sends a text to every online peer that has not blocked the sender.
    Broadcast(Broadcast),
    /// No more messages, requests and broadcasts of this peer, and it does not see when and where one is online.
    Block(PeerRef),
    /// Takes back a block.
    Unblock(PeerRef),
    /// Whom one has blocked: at most [`crate::limits::BLOCKS_MAX`], in one answer.
    Blocks,
    /// A page of the peers that one has blocked, in the order of their IDs.
    BlocksPage {
        /// The last peer of the last page.
        after: Option<PeerId>,
    },
    /// Calls an online peer through the relay.
    Relay(PeerId),
    /// Signs an image that was published without.
    Sign(Box<Sign>),
    /// The first message of OPAQUE for a password that is to be set.
    PasswordStart(Blob),
    /// Sets the password: what the directory keeps for it takes the place of what was there.
    PasswordFinish(Box<Escrow>),
    /// Removes the password, and with it everything that the directory keeps for it.
    PasswordRemove,
    /// Before signing in: begins a login with a password, on a machine that does not have the key.
    LoginStart(Box<LoginStart>),
    /// Ends it, on the same connection.
    LoginFinish(Blob),
    /// Views of one's own are over: their IDs get the directory's share no more. At most [`crate::limits::VIEWS_CLOSED_MAX`]; what is
    /// not known, or over already, is passed over, so that it can be asked any number of times.
    CloseViews(Vec<ViewId>),
    /// Binds the connection's key to the ID that it had, and signs in: to a directory that was restored and does not know it.
    Reclaim(Box<Reclaim>),
    /// Tells a directory that was restored what one knows from before.
    Assert(Assertion),
}

/// See [`Op::Share`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// To which image.
    pub image: ImageNo,
    /// The viewer.
    pub viewer: PeerRef,
    /// What becomes of the views.
    pub views: ViewsChange,
    /// What becomes of the time.
    pub expiry: ExpiryChange,
    /// The directory's share of the content key; used only if the viewer has no live grant yet, or with
    /// [`ViewsChange::Rekey`], else the old one goes on. Not needed to revoke a grant.
    pub key: Option<KeyShare>,
    /// In place of `expiry`: the grant ends after this time, in milliseconds by the directory's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
    /// Whether the viewer may check views out; as it is, if not said. A new grant allows it only if this says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_offline: Option<bool>,
}

/// What becomes of a grant's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewsChange {
    /// As they are. There must be a grant.
    Keep,
    /// This many are left from now on.
    Set(Allowance),
    /// This many more; an unlimited grant stays so.
    Add(u32),
    /// The grant is revoked, and with it the directory's share of the key is deleted.
    Revoke,
    /// As they are, and the key with them is another one: for an owner that publishes anew an image whose key it has lost.
    /// There must be a live grant.
    Rekey,
}

/// What becomes of a grant's time.
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
    /// By which the viewer knows the owner share that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ShareCheck>,
}

impl std::fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyShare({:?}, ..)", self.split)
    }
}

/// See [`Op::Spend`]. The same view ID again counts nothing more and gets the same answer, as long as the grant lives and the view
/// is not over ([`Op::CloseViews`], [`Op::Checkin`]).
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
    /// How many of its views the viewer's state had that was put back from a copy: they may have been used, so they are not given
    /// back, and the checkout is over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// See [`Op::Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestAccess {
    /// Which image.
    pub image: ImageArg,
    /// How many views; unlimited is for the owner to offer.
    pub views: u32,
    /// A word to the owner, at most [`crate::limits::TEXT_BYTES_MAX`].
    pub note: Option<Box<str>>,
    /// Whether checkouts are asked for, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
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
    /// Adds views to the grant, or creates it.
    Approve {
        /// As many as asked, if not said.
        views: Option<u32>,
        /// As in [`Share::key`].
        key: KeyShare,
        /// As in [`Share::allow_offline`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_offline: Option<bool>,
    },
    /// Refuses.
    Deny {
        /// A word to the viewer, at most [`crate::limits::TEXT_BYTES_MAX`].
        reason: Option<Box<str>>,
    },
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// A grant as it is now.
    Grant(Box<Grant>),
    /// Views were spent.
    Spent(Box<Spent>),
    /// A request as it is now.
    Request(Box<Request>),
    /// A page of grants.
    #[serde(rename = "rights")]
    #[strum(serialize = "rights")]
    Grants {
        /// At most [`crate::limits::PAGE_MAX`].
        grants: Vec<Grant>,
        /// Whether there are more.
        more: bool,
    },
    /// A page of requests.
    #[serde(rename = "asks")]
    #[strum(serialize = "asks")]
    Requests {
        /// At most [`crate::limits::PAGE_MAX`].
        #[serde(rename = "asks")]
        requests: Vec<Request>,
        /// Whether there are more.
        more: bool,
    },
    /// A message was taken.
    Sent(Box<Sent>),
    /// The number of sessions that a broadcast went to.
    Told(u64),
    /// A peer is blocked.
    Blocked(Box<Blocked>),
    /// Who is blocked, at most [`crate::limits::BLOCKS_MAX`].
    Blocks(Vec<Block>),
    /// A page of them.
    BlocksPage {
        /// At most [`crate::limits::PAGE_MAX`].
        blocks: Vec<Block>,
        /// Whether there are more.
        more: bool,
    },
    /// The other peer was told of the call: connect with this.
    Ticket(Ticket),
    /// The directory's message of OPAQUE for a password that is to be set.
    PasswordStarted(Blob),
    /// The directory's message of OPAQUE for a login; the same to look at whether or not there is such a name or password.
    LoginStarted(Blob),
    /// The password was right.
    LoggedIn(Box<LoggedIn>),
    /// What came of each thing that was asserted, in their order.
    Asserted(Vec<Asserted>),
}

/// See [`Answer::Spent`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The directory's share of the content key, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub share: [u8; 32],
    /// The grant as it is now.
    pub grant: Grant,
}

impl std::fmt::Debug for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spent").field("grant", &self.grant).finish_non_exhaustive()
    }
}

/// A request for access, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
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
    pub state: RequestState,
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
    /// Whether checkouts are asked for, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offline: bool,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RequestState {
    /// The owner has not answered.
    Pending,
    /// The owner gave views.
    Approved,
    /// The owner refused.
    Denied,
    /// The asker withdrew it.
    Cancelled,
}

impl RequestState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests;
