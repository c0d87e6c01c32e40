//! What dosctl asks of peerd.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    directory::{Cursor, ViewsChange},
    id::{ImageNo, PeerId},
    key::PublicKey,
    link::JoinLink,
    model::{ImageArg, PeerRef, Visibility},
    name::{AlbumName, Description, ImageName, PeerName},
    password::Password,
};

use super::{AlbumChange, DescriptionChange, NewInvite, Terms};

/// What is wanted of an `add` beside the image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AddOptions {
    /// Refuses an image that is damaged, even if it can be shown in part.
    #[serde(default)]
    pub strict: bool,
    /// Takes any file: also what is no image, and an image that is too damaged to be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// Has its record say when the picture was taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_date: bool,
    /// Has peerd say [`FromPeerd::Ready`](super::FromPeerd::Ready) when all is done but the publication, and wait for
    /// [`ToPeerd::Go`](super::ToPeerd::Go): several files are made ready at once and published in their order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_turn: bool,
}

/// What dosctl wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Command {
    /// Signs up.
    Register {
        /// Where.
        server: JoinLink,
        /// Under which name.
        name: Option<PeerName>,
        /// With it another machine gets the same ID and key.
        password: Option<Password>,
    },
    /// Gets an ID and its key with its password, and signs in: on a daemon that has no identity yet.
    Recover {
        /// Where.
        server: JoinLink,
        /// The name of the peer.
        name: PeerName,
        /// Its password.
        password: Password,
        /// Takes over from another machine that is signed in with the ID.
        #[serde(default)]
        force: bool,
    },
    /// Sets the password, or removes it.
    SetPassword(Option<Password>),
    /// Goes online and stays so.
    Login {
        /// Takes over from another live session of the same ID.
        force: bool,
    },
    /// The directory is at another address now; its key is the same.
    Server(JoinLink),
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
        /// What else is wanted. A dosctl that says it understands [`Outcome::Added`](super::Outcome::Added).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        options: Option<AddOptions>,
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
    /// Creates, changes or revokes a grant.
    Share {
        /// To which image of one's own.
        name: ImageName,
        /// The viewer.
        viewer: PeerRef,
        /// What becomes of the views.
        views: ViewsChange,
        /// For how long from now.
        expires: Option<Duration>,
        /// Whether the viewer may check views out; as it is, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_offline: Option<bool>,
    },
    /// The grants that one has given or received.
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
        /// Whether checkouts are asked for, too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        offline: bool,
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
        request: RequestArg,
        /// As many views as asked, if not said.
        views: Option<u32>,
        /// Whether the viewer may check views out; as asked, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_offline: Option<bool>,
    },
    /// Refuses a request.
    Deny {
        /// Which.
        request: RequestArg,
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
        /// Whether dosctl wants [`super::FromPeerd::Ready`] before anything is spent, and answers it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asks: bool,
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
    Watch {
        /// Only what has to do with these peers; everything, if nobody is named. At most
        /// [`crate::limits::SUBSCRIBED_PEERS_MAX`].
        peers: Vec<PeerRef>,
    },
    /// Sends a message.
    Send {
        /// To whom.
        to: PeerRef,
        /// What it says.
        text: Box<str>,
        /// Peer to peer, not through the directory.
        direct: bool,
    },
    /// Says something to everybody who is online.
    Broadcast(Box<str>),
    /// The messages, oldest first. dosctl says [`super::ToPeerd::Shown`] after each page it has shown: then they count as read.
    Messages(MessagesQuery),
    /// Takes nothing more from a peer.
    Block(PeerRef),
    /// Takes back a block.
    Unblock(PeerRef),
    /// Who is blocked.
    Blocks,
    /// Measures the way to a peer and back, the way that a transfer would go.
    Ping(PeerRef),
    /// Tries every way to a peer to its end.
    Explain(PeerRef),
    /// What this daemon knows of its own network.
    Netcheck,
    /// One's own card.
    Card,
    /// The peers whose keys are pinned.
    Contacts,
    /// What is known of a peer's key; pins nothing.
    Inspect(PeerRef),
    /// Pins a key that a person has compared, or got from the peer itself, in place of any other one.
    Trust {
        /// Whose.
        peer: PeerId,
        /// The key.
        key: PublicKey,
        /// The name by which a person knows it.
        name: Option<PeerName>,
    },
    /// Keeps the pinned key of a peer, and forgets that another one was seen.
    KeepKey(PeerId),
    /// Makes many changes, at most [`crate::limits::MANY_MAX`], one as independent of the others as if each came alone: `share`,
    /// `remove`, `approve`, `deny`, `set`.
    Many(Vec<Command>),
    /// Changes a group of peers, which is known here alone, and shows it; only shows it, if nothing is to be changed.
    Group {
        /// Which; it has the form of a peer's name.
        name: PeerName,
        /// Peers that belong to it from now on.
        add: Vec<PeerRef>,
        /// Peers that do so no more. A group without any is gone.
        remove: Vec<PeerRef>,
    },
    /// The groups and who belongs to them.
    Groups,
    /// Images of all peers or of one, the newest first.
    Newest {
        /// One peer's only.
        peer: Option<PeerRef>,
        /// Only one's own.
        mine: bool,
        /// Those before this one, which was the last of an earlier page.
        before: Option<ImageNo>,
        /// Images wanted.
        limit: Option<u32>,
    },
    /// As [`Command::Add`], saying who may see the image, or which album it is in: a command of its own, so that a peerd that
    /// knows neither publishes nothing.
    AddAs {
        /// As in [`Command::Add`].
        name: ImageName,
        /// As in [`Command::Add`].
        replace: bool,
        /// As in [`Command::Add`].
        options: AddOptions,
        /// Who may see it; as the directory's operator has it, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visibility: Option<Visibility>,
        /// The album that it is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        album: Option<AlbumName>,
        /// What is to be seen on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<Description>,
    },
    /// Says who may see an image of one's own, which album it is in, and what is to be seen on it.
    Set {
        /// Which.
        name: ImageName,
        /// Who may see it; as it is, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        visibility: Option<Visibility>,
        /// Its album; as it is, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        album: Option<AlbumChange>,
        /// Its description; as it is, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<DescriptionChange>,
    },
    /// The albums of one's own.
    Albums,
    /// What is in an album of one's own, a page of it, and who gets what comes into it.
    Album {
        /// Which.
        name: AlbumName,
        /// The last image of the last page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<ImageName>,
    },
    /// Gives a peer every image of an album, those that are in it and those that come into it later; without terms, gives it no more
    /// of these.
    Later {
        /// Which.
        album: AlbumName,
        /// Who.
        viewer: PeerRef,
        /// On which terms.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<Terms>,
    },
    /// Makes an invitation for a person, in one link.
    Invite(Box<NewInvite>),
    /// The invitations that were made and used here.
    Invites,
    /// Revokes the open invitation for the guest of this name.
    RevokeInvite(PeerName),
    /// Uses an invitation to the directory at which this peer is registered already.
    Join(JoinLink),
    /// Takes another name at the directory.
    Name(PeerName),
    /// Leaves the directory for good. What is here is put aside, and the daemon begins anew, without an identity.
    Unregister,
    /// What has happened, as events; what was shown once is not shown again. dosctl says [`super::ToPeerd::Shown`] once it has shown
    /// everything.
    News {
        /// Everything that is kept, also what was shown.
        all: bool,
    },
    /// Serves the gallery, if it is not served, and lets one browser in.
    Gallery,
}

impl Command {
    /// What is wanted, without how it is done: the same of an `add` alone and of one among several files.
    #[must_use]
    pub fn without_manner(&self) -> Cow<'_, Self> {
        match self {
            Self::Add { options: Some(AddOptions { in_turn: true, .. }), .. }
            | Self::AddAs { options: AddOptions { in_turn: true, .. }, .. } => {
                let mut plain = self.clone();
                if let Self::Add { options: Some(options), .. } | Self::AddAs { options, .. } = &mut plain {
                    options.in_turn = false;
                }
                Cow::Owned(plain)
            }
            _ => Cow::Borrowed(self),
        }
    }
}

/// See [`Command::Messages`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MessagesQuery {
    /// Only those that were not read.
    pub unread: bool,
    /// Only those from and to this peer.
    pub with: Option<PeerRef>,
    /// Only later ones than this, by its place.
    pub after: Option<u64>,
    /// Of these, the last `limit` and all that come after them.
    pub limit: Option<u32>,
    /// No more than this in one answer.
    #[serde(default)]
    pub most: Option<u32>,
    /// If there are none, waits until there are.
    #[serde(default)]
    pub wait: bool,
}

/// How a person names a request: a number of the directory's, or `cN`: a peer that wants to send direct messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestArg {
    /// A request for access.
    Access(u64),
    /// A request for contact.
    Contact(u64),
}

/// Neither a number nor `c` and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request is a number, or c and a number, as in the list of requests")]
pub struct RequestArgError;

impl std::str::FromStr for RequestArg {
    type Err = RequestArgError;

    fn from_str(text: &str) -> Result<Self, RequestArgError> {
        let (number, contact) = text.strip_prefix('c').map_or((text, false), |number| (number, true));
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RequestArgError);
        }
        let number = number.parse().map_err(|_| RequestArgError)?;
        Ok(if contact { Self::Contact(number) } else { Self::Access(number) })
    }
}

impl std::fmt::Display for RequestArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Access(number) => write!(f, "{number}"),
            Self::Contact(number) => write!(f, "c{number}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_add_is_the_same_change_whether_it_waits_for_its_turn() {
        let plain = AddOptions { strict: true, ..AddOptions::default() };
        let adds = |options: AddOptions| {
            let name: ImageName = "sea".parse().unwrap();
            [
                Command::Add { name: name.clone(), replace: false, options: Some(options) },
                Command::AddAs {
                    name,
                    replace: true,
                    options,
                    visibility: Some(Visibility::Private),
                    album: None,
                    description: None,
                },
            ]
        };
        for (add, waiting) in adds(plain).into_iter().zip(adds(AddOptions { in_turn: true, ..plain })) {
            assert_ne!(add, waiting);
            assert_eq!(*waiting.without_manner(), add);
            assert_eq!(*add.without_manner(), add);
        }
    }
}
