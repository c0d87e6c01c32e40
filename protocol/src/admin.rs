//! What the operator's commands and the running directory say to each other, over a local socket in its data directory.
//!
//! A command sends one request and reads replies until the last one: a list comes in pages, so that neither side holds
//! all of it, and ends with [`FromDosd::Done`]; everything else is one reply.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::{
    error::WireError,
    id::PeerId,
    invite::InviteCode,
    link::JoinLink,
    model::{Address, PeerRef, SessionEnd},
    name::{ImageName, PeerName},
    time::Timestamp,
};

mod operator;

pub use operator::{AuditEntry, Ban, Shown};

/// From an operator's command: one request per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToDosd {
    /// The join link, with a fresh invite where the directory wants one.
    Link,
    /// Makes an invite.
    CreateInvite {
        /// Registrations that it is good for, at least one.
        uses: u32,
        /// Its lifetime in milliseconds; [`crate::limits::INVITE_TIME`] by default.
        expires_ms: Option<u64>,
        /// Drawn by the command: the same one again makes no other invite and gets the same answer. Drawn by the server if
        /// nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<InviteCode>,
    },
    /// The invites.
    Invites,
    /// Takes back an invite: the whole code, or its beginning as the list shows it.
    RevokeInvite(Box<str>),
    /// The registered peers.
    Peers {
        /// Only those that are online.
        online: bool,
    },
    /// Measures the way to peers and back.
    Ping {
        /// Whom.
        whom: Whom,
        /// How often each, at most [`crate::limits::PINGS_MAX`].
        count: u32,
    },
    /// Ends sessions.
    Kick {
        /// Whose.
        whom: Whom,
        /// A word to them.
        reason: Option<Box<str>>,
    },
    /// Says something to everybody who is online.
    Announce(Box<str>),
    /// Ends the server. Another one replaces it.
    Shutdown {
        /// The delay in milliseconds; none by default.
        in_ms: Option<u64>,
        /// A word to the peers.
        reason: Option<Box<str>>,
    },
    /// Copies the database to this absolute path, where nothing is yet.
    Backup(Box<str>),
    /// As `Backup`, for a path that is not UTF-8.
    BackupAt(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Verifies the store.
    Check,
    /// Forgets what nobody needs any more.
    Prune {
        /// Peers that were not seen for this time, in milliseconds; none by default.
        peers_unseen_ms: Option<u64>,
        /// Receipts older than this, in milliseconds; none by default.
        receipts_older_ms: Option<u64>,
        /// Only tells what would be forgotten.
        dry: bool,
    },
    /// How the directory does.
    Stats,
    /// Forgets a peer for good: its ID, name, images, grants, requests, messages.
    Remove(PeerRef),
    /// Deletes what is kept for a peer's password.
    ClearPassword(PeerRef),
    /// Everything that is known of a peer.
    Show(PeerRef),
    /// As `Remove`, and its key may not register again.
    Ban {
        /// Whom.
        peer: PeerRef,
        /// A word to it, and for the operator's own record.
        reason: Option<Box<str>>,
    },
    /// The key of a banned peer may register again.
    Unban(PeerRef),
    /// The bans.
    Bans,
    /// Gives a peer another name.
    Rename {
        /// Whom.
        peer: PeerRef,
        /// Its new name.
        name: PeerName,
        /// A word to it.
        reason: Option<Box<str>>,
    },
    /// Removes an image with every grant for it.
    TakeDown {
        /// Whose.
        owner: PeerRef,
        /// Which.
        name: ImageName,
        /// A word to its owner.
        reason: Option<Box<str>>,
    },
    /// What operators have done, the newest first.
    Audit {
        /// At most this number of entries.
        limit: u32,
    },
    /// The servers of this directory.
    Nodes,
}

/// Whom a command is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// Everybody who is online.
    All,
    /// One peer.
    One(PeerRef),
}

/// From the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FromDosd {
    /// The join link.
    Link(JoinLink),
    /// A fresh invite.
    Invited(Invited),
    /// A page of invites.
    Invites(Vec<Invite>),
    /// A page of peers.
    Peers(Vec<Registered>),
    /// Some of the peers that were pinged.
    Pinged(Vec<Pinged>),
    /// The number of sessions that were ended.
    Kicked(u64),
    /// The number of peers that were notified.
    Told(u64),
    /// The server ends.
    Closing(Closing),
    /// The database was copied: its size in bytes.
    Saved(u64),
    /// What the verification found.
    Checked(Checked),
    /// What was forgotten.
    Pruned(Pruned),
    /// How the directory does.
    Stats(Box<Stats>),
    /// That was all.
    Done,
    /// Nothing is kept for a peer's password any more.
    PasswordCleared {
        /// Whose.
        peer: PeerId,
        /// Whether there was one.
        was_set: bool,
    },
    /// Refused, or it went wrong on the way.
    Failed(WireError),
    /// A peer was forgotten.
    Removed(Removed),
    /// Everything that is known of a peer.
    Shown(Box<Shown>),
    /// A key may register again: whose it was.
    Unbanned(Ban),
    /// A page of bans.
    Bans(Vec<Ban>),
    /// A peer has another name.
    Renamed {
        /// Which.
        peer: PeerId,
        /// The name that it had.
        old: Option<PeerName>,
        /// The one that it has.
        new: PeerName,
    },
    /// An image was taken down.
    TakenDown {
        /// Its owner.
        owner: PeerId,
        /// Its name.
        name: ImageName,
        /// Grants that were not revoked.
        grants: u64,
    },
    /// A page of what operators have done.
    Audit(Vec<AuditEntry>),
    /// The servers of this directory.
    Nodes(Vec<Node>),
}

/// See [`FromDosd::Invited`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Its code. The directory keeps a hash of it alone: it is never told again.
    pub code: InviteCode,
    /// The join link with it.
    pub link: JoinLink,
    /// Registrations that are left.
    pub uses_left: u32,
    /// Until this moment.
    pub expires_at: Timestamp,
}

/// See [`FromDosd::Invites`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The first characters of its code, which no other invite has.
    pub prefix: Box<str>,
    /// Registrations that it was made for.
    pub uses: u32,
    /// Registrations that are left.
    pub uses_left: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Invite {
    /// `active`, `used_up` or `expired`.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> &'static str {
        if self.uses_left == 0 {
            "used_up"
        } else if self.expires_at <= now {
            "expired"
        } else {
            "active"
        }
    }
}

/// See [`FromDosd::Peers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its ID.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Whether it has a live session.
    pub online: bool,
    /// Where it is reached while it is online.
    pub address: Option<Address>,
    /// When its last session ended; now, while it is online.
    pub last_seen: Timestamp,
    /// Why its last session ended, if that was written down.
    pub last_end: Option<SessionEnd>,
    /// When it signed up.
    pub registered_at: Timestamp,
    /// Updates that wait for it.
    #[serde(default)]
    pub inbox_rows: u64,
    /// When its session began, while it is online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_since: Option<Timestamp>,
}

/// A server of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Where peers find it.
    pub address: Box<str>,
    /// Where the other nodes find it, if there may be others.
    pub cluster: Option<Box<str>>,
    /// How it stands.
    pub state: NodeState,
    /// The peers that are online at it, as far as is known here.
    pub peers: u64,
    /// Since when it runs.
    pub since: Timestamp,
    /// The version of its program.
    pub version: Box<str>,
}

/// How a server of a directory stands, as another one sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeState {
    /// The one that answers.
    This,
    /// It is linked to.
    Linked,
    /// It says in the store that it lives, and there is no link to it.
    Unlinked,
}

impl NodeState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// See [`FromDosd::Pinged`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinged {
    /// Who.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// What came of it.
    pub result: PingResult,
}

/// What came of pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PingResult {
    /// All were answered; round trips in microseconds.
    Answered {
        /// The shortest.
        min_us: u64,
        /// The mean.
        avg_us: u64,
    },
    /// One was not answered within [`crate::limits::PING_TIME_MAX`].
    Timeout,
    /// The session ended.
    Offline,
}

/// See [`FromDosd::Closing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// The number of peers that were notified.
    pub told: u64,
}

/// See [`FromDosd::Checked`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is wrong, for people; empty if the store is sound.
    pub findings: Vec<Box<str>>,
    /// Peers in the store.
    pub peers: u64,
    /// Images.
    pub images: u64,
    /// Rights.
    pub grants: u64,
}

/// See [`FromDosd::Removed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The peer that is gone.
    pub id: PeerId,
    /// Its name, which is free now.
    pub name: Option<PeerName>,
    /// Its images.
    pub images: u64,
    /// The live grants that it had to images of others.
    pub grants: u64,
}

/// See [`FromDosd::Pruned`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Peers.
    pub peers: u64,
    /// Their images.
    pub images: u64,
    /// The live rights that they had to images of others.
    pub rights: u64,
    /// Receipts.
    pub receipts: u64,
    /// Invites that were used up or had expired.
    pub invites: u64,
}

/// See [`FromDosd::Stats`]. What is counted is counted since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The server's version.
    pub version: Box<str>,
    /// When it was started.
    pub started_at: Timestamp,
    /// Peers that are online.
    pub sessions: u64,
    /// Peers that are registered.
    pub peers: u64,
    /// Images that are published.
    pub images: u64,
    /// Grants that are not revoked.
    pub rights: u64,
    /// Updates that peers have not stored yet.
    pub inbox_rows: u64,
    /// The size of the database, in bytes.
    pub database_bytes: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Operations in them.
    pub operations: u64,
    /// Transactions that could not be committed.
    pub failures: u64,
    /// Views spent one by one.
    pub views: u64,
    /// Views taken along.
    pub views_checked_out: u64,
    /// Views given back.
    pub views_checked_in: u64,
    /// Bytes that passed through the relay, both ways.
    pub relayed_bytes: u64,
    /// What did not fit into a session's queue.
    pub queue_drops: u64,
    /// Bytes of all previews.
    #[serde(default)]
    pub preview_bytes: u64,
    /// Bytes of all updates that wait.
    #[serde(default)]
    pub inbox_bytes: u64,
    /// Bytes of the database that are in use; the rest of its size is free for what comes.
    #[serde(default)]
    pub used_bytes: u64,
    /// Bytes by which that can grow before nothing may be added.
    #[serde(default)]
    pub room_bytes: u64,
    /// Whether that is enough.
    #[serde(default)]
    pub room: Room,
    /// The setting that bounds it, where it is not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_limit: Option<Box<str>>,
}

/// How much room a directory has for more data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// Enough.
    #[default]
    Ample,
    /// It ends soon.
    Low,
    /// None: peers can add nothing.
    Full,
}

impl Room {
    /// As text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ample => "ample",
            Self::Low => "low",
            Self::Full => "full",
        }
    }
}

/// The name of the socket in the data directory.
pub const SOCKET_NAME: &str = "admin.sock";
