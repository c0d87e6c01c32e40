//! Requests for access: asked, answered, and as they stand.

use serde::{Deserialize, Serialize};

use super::KeyShare;
use crate::{
    id::{ImageNo, PeerId},
    model::{ImageArg, ImagePath},
    name::PeerName,
    time::Timestamp,
};

/// See [`Op::Request`](super::Op::Request).
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

/// See [`Op::Decide`](super::Op::Decide).
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
        /// As in [`Share::key`](super::Share::key).
        key: KeyShare,
        /// As in [`Share::allow_offline`](super::Share::allow_offline).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_offline: Option<bool>,
    },
    /// Refuses.
    Deny {
        /// A word to the viewer, at most [`crate::limits::TEXT_BYTES_MAX`].
        reason: Option<Box<str>>,
    },
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
