//! What dosctl and peerd say to each other over the local socket, in the same frames as everywhere.
//!
//! One connection carries one command: [`ToPeerd::Do`], followed by [`ToPeerd::Data`] where the command brings a file.
//! peerd answers with any number of [`FromPeerd::Progress`], [`FromPeerd::Data`] and [`FromPeerd::Event`], and ends with
//! [`FromPeerd::Done`] or [`FromPeerd::Failed`]; after the `Done` of `messages` or `send` dosctl says [`ToPeerd::Shown`]
//! and waits for peerd to hang up, which it does once that is written down. When dosctl hangs up, the command is given up where that is possible.
//!
//! A `view` that asks for it ([`Command::View`]) first gets [`FromPeerd::Ready`] with the size of what will come, and spends nothing
//! until dosctl says [`ToPeerd::Go`]. Likewise an `add` that waits for its turn ([`AddOptions::in_turn`]) publishes nothing until then.

mod album;
mod command;
mod contact;
mod event;
mod invite;
mod message;
mod outcome;
mod reach;
mod read;

pub use album::{AlbumChange, AlbumSummary, DescriptionChange, Rule, Terms};
pub use command::{AddOptions, Command, ListQuery, MessagesQuery, RequestArg, RequestArgError};
pub use contact::{Contact, OtherKey, Trust};
pub use event::{Event, EventKind, ImageChange, ImageChanged};
pub use invite::{Invite, InviteGrant, InviteState, NewInvite};
pub use message::{ContactRequest, How, Message, Way};
pub use outcome::{Each, Group, Member, Note, Outcome, SessionState, Status};
pub use reach::{Advice, BadWay, Explained, Means, Netcheck, Tried};
pub use read::{Reply, read_command, read_reply};

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{error::WireError, model::Allowance};

/// From dosctl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ToPeerd {
    /// The command, from a dosctl that takes its outcome in one piece and says [`ToPeerd::Shown`] after `view`, `messages` and
    /// `send` alone.
    Do(Box<Command>),
    /// The command, from a dosctl that takes [`FromPeerd::Part`], and says [`ToPeerd::Shown`] after every change, too. A peerd
    /// that does not know this answers `unsupported`.
    Perform(Box<Command>),
    /// A piece of the file that the command brings, at most [`crate::limits::DATA_BYTES_MAX`]. An empty one ends it.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The outcome has been shown. A page of `messages`: it counts as read. Any change: the same command given again is another
    /// change. After a `view` it says nothing: that was over before its first byte came.
    Shown,
    /// There is room for what [`FromPeerd::Ready`] announces: the view may be spent. Of an `add`: it is its turn.
    Go,
}

/// From peerd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FromPeerd {
    /// How far a transfer is.
    Progress(Progress),
    /// A piece of the original.
    Data(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Something happened.
    Event(Box<Event>),
    /// A piece of a long outcome of `shares`, `requests`, `messages` or `blocks`; the last piece comes as [`FromPeerd::Done`].
    Part(Box<Outcome>),
    /// The command is done.
    Done(Box<Outcome>),
    /// It failed.
    Failed(WireError),
    /// Of a `view`: this many bytes will come as soon as dosctl says [`ToPeerd::Go`]. Again, if the image was replaced meanwhile.
    /// Of an `add`: the image is sealed and looked at, and is published as soon as dosctl says that.
    Ready {
        /// The size of the original in bytes.
        bytes: u64,
        /// What is spent then; nothing of one's own images.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spends: Option<Spends>,
    },
}

/// What a view is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spends {
    /// The views that are left, as far as peerd knows, before this one.
    pub left: Allowance,
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
    /// The copy is opened; said once, before the first piece of the original. dosctl counts the pieces itself.
    Opening,
}
