//! What a peer and the directory say to each other (`dos/1`).
//!
//! The peer sends [`ToDirectory`], the directory [`FromDirectory`]. The first request is `register` or `sign_in`; any
//! other is refused before. Requests carry an ID that the peer chooses; answers may come in another order, and pushes
//! between them. Updates come in the order of their numbers, without gaps, and again after a reconnection until they
//! are acknowledged.

mod follow;
mod grant;
mod healing;
mod invite;
mod listing;
mod message;
mod name;
mod password;
mod presence;
mod publish;
mod reach;
mod read;
mod request;
mod sign_in;
mod update;

pub use follow::{Follow, Followed, PeerChange, PeerNews};
pub use grant::{Checkin, ExpiryChange, KeyShare, Share, Spend, SpendKind, Spent, ViewsChange};
pub use healing::{
    Asserted, AssertedCheckout, AssertedGrant, AssertedImage, Assertion, Attempt, DataState, PeerState,
    Proof, Reclaim,
};
pub use invite::{Greet, Greeted, Invite, Invited};
pub use listing::{Cursor, List, Newest, NewestPage, Page};
pub use message::{Block, Blocked, Broadcast, Delivery, InboxMessage, Send, Sent};
pub use password::{Blob, BlobError, Escrow, LoggedIn, LoginStart};
pub use presence::{Changes, Presence, Subscription};
pub use publish::{Preview, PreviewOf, Publish, PublishAs, Set, Sign};
pub use reach::{
    Call, Contact, PREFACE_BYTES, RELAY_MAGIC, RELAY_OPEN, RENDEZVOUS_MAGIC, Rendezvous, RendezvousAt,
    RendezvousCall, SEEN_MAGIC, Ticket, preface, ticket_of,
};
pub use read::{Incoming, UnknownUpdate, read_message, read_request};
pub use request::{Decide, Decision, Request, RequestAccess, RequestState};
pub use sign_in::{Recover, Register, SignIn, SignedIn};
pub use update::{Delivered, Notice, NoticeKind, Update, Viewed, ViewedKind};

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::{
    error::WireError,
    id::{ImageNo, OperationId, PeerId, Seq, ViewId},
    key::PublicKey,
    link::HostPort,
    model::{Grant, ImageArg, ImageInfo, PeerInfo, PeerRef},
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
    /// Wants a pong with the same number. For a directory that has told of its nodes ([`SignedIn::nodes`]); earlier ones do not know it.
    Ping(u32),
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
    /// The addresses of all nodes of the directory, which have changed: see [`SignedIn::nodes`].
    Nodes(Vec<HostPort>),
    /// Answers a ping, at once, whatever else is asked.
    Pong(u32),
    /// Something that a followed peer has done.
    PeerNews(Box<PeerNews>),
    /// Another peer wants a rendezvous. To peers that take part in them ([`SignIn::rendezvous`]).
    Rendezvous(Box<RendezvousCall>),
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
    /// A page of images, the newest first: in the order in which they were first published.
    Newest(Newest),
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
    /// As [`Op::Publish`], saying who may see the image, or which album it is in.
    PublishAs(Box<PublishAs>),
    /// Says who may see an image of one's own, or which album it is in.
    Set(Box<Set>),
    /// Makes an invite for one newcomer, where the operator lets peers do so. The same hash again is the same invite.
    Invite(Invite),
    /// Revokes an invite of one's own, by its hash; one that is not there is passed over.
    RevokeInvite(#[serde(with = "serde_bytes")] [u8; 32]),
    /// Says something to the peer that has invited one, or that one has invited; kept for a peer that is offline.
    Greet(Box<Greet>),
    /// Takes another name. The same one again changes nothing.
    Name(PeerName),
    /// Leaves for good: everything that the directory keeps of the peer is gone, and the session with it. The directory does not
    /// know the key any more, so that who lost the answer finds out by signing in.
    Unregister,
    /// Follows other peers in this session, and asks what they have shown since.
    Follow(Follow),
    /// Arranges that this peer and another one connect to each other at one moment.
    Rendezvous(Rendezvous),
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
    /// Of `newest`.
    Newest(NewestPage),
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
    /// An invite was made, or is not needed.
    Invited(Invited),
    /// Who is followed, and what they have shown.
    Followed(Followed),
    /// The other peer was told of the rendezvous.
    Rendezvous(RendezvousAt),
}

#[cfg(test)]
mod tests;
