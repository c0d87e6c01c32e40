//! What the programs talk about: peers, images, grants, requests, as they travel.

mod image;
mod preview_size;

use std::{fmt, net::SocketAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageNo, PeerId, Revision, ShareCheck, SplitId},
    key::PublicKey,
    kind::known_or_none,
    name::{ImageName, NameError, PeerName, TextVisitor},
    time::Timestamp,
};

pub use image::{Format, ImageInfo, Original, PreviewInfo, SealedCopy, UnknownVisibility, Visibility};
pub use preview_size::{PreviewSize, UnknownPreviewSize};

/// An address of a peer or a daemon; text everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub SocketAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// How a person names a peer: an ID (it has a capital), an address (it has a colon), else a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PeerRef {
    /// By its ID.
    Id(PeerId),
    /// By its name.
    Name(PeerName),
    /// By the address at which it is online.
    Address(Address),
}

/// Not an ID, a name or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefError {
    /// It has a capital, but is no ID.
    #[error(transparent)]
    Id(#[from] crate::id::IdError),
    /// It could only be a name, and is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It has a colon, but is no address.
    #[error("an address looks like 192.0.2.7:5001 or [2001:db8::7]:5001")]
    Address,
}

impl FromStr for PeerRef {
    type Err = PeerRefError;

    fn from_str(text: &str) -> Result<Self, PeerRefError> {
        if text.contains(':') {
            text.parse().map(Self::Address).map_err(|_| PeerRefError::Address)
        } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Ok(Self::Id(text.parse()?))
        } else {
            Ok(Self::Name(text.parse()?))
        }
    }
}

impl fmt::Display for PeerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Name(name) => fmt::Display::fmt(name, f),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// How a person names an image: `OWNER/NAME`, or `NAME` for one's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageArg {
    /// Whose it is; one's own if not said.
    pub owner: Option<PeerRef>,
    /// Its name.
    pub name: ImageName,
}

/// Not `OWNER/NAME` or `NAME`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageArgError {
    /// What stands before the slash.
    #[error(transparent)]
    Owner(#[from] PeerRefError),
    /// What stands behind it.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for ImageArg {
    type Err = ImageArgError;

    fn from_str(text: &str) -> Result<Self, ImageArgError> {
        match text.split_once('/') {
            None => Ok(Self { owner: None, name: text.parse()? }),
            Some((owner, name)) => Ok(Self { owner: Some(owner.parse()?), name: name.parse()? }),
        }
    }
}

impl fmt::Display for ImageArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner}/{}", self.name),
            None => fmt::Display::fmt(&self.name, f),
        }
    }
}

/// An image by its owner's ID and its name: `OWNERID/NAME` as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath {
    /// Whose it is.
    pub owner: PeerId,
    /// Its name.
    pub name: ImageName,
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for ImagePath {
    type Err = ImageArgError;

    fn from_str(text: &str) -> Result<Self, ImageArgError> {
        let (owner, name) = text.split_once('/').ok_or(NameError::Empty)?;
        Ok(Self { owner: owner.parse().map_err(PeerRefError::Id)?, name: name.parse()? })
    }
}

/// Text on the wire and in JSON.
macro_rules! as_text {
    ($($type:ident: $what:literal),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor::<Self>::new($what))
            }
        }
    )*};
}

as_text!(Address: "an address", PeerRef: "an ID, a name or an address", ImageArg: "an image", ImagePath: "an image's path");

/// A number of views, or without limit. `null` means unlimited on the wire and in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Option<u32>", into = "Option<u32>")]
pub enum Allowance {
    /// As many as one likes.
    Unlimited,
    /// This many.
    Views(u32),
}

impl From<Option<u32>> for Allowance {
    fn from(views: Option<u32>) -> Self {
        views.map_or(Self::Unlimited, Self::Views)
    }
}

impl From<Allowance> for Option<u32> {
    fn from(allowance: Allowance) -> Self {
        match allowance {
            Allowance::Unlimited => None,
            Allowance::Views(views) => Some(views),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.pad("unlimited"),
            Self::Views(views) => f.pad(&views.to_string()),
        }
    }
}

/// What a peer may do with somebody else's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Where things stand.
    pub state: AccessState,
    /// Views left; 0 where there is no grant.
    pub views_left: Allowance,
    /// When the grant expires.
    pub expires_at: Option<Timestamp>,
    /// It is the offer of a stranger, as peerd tells dosctl. What the directory says here does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offer: bool,
}

/// Where a peer's access to an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessState {
    /// Nothing was given or asked.
    None,
    /// Request and not yet answered.
    Requested,
    /// It may be viewed.
    Granted,
    /// Request and refused.
    Denied,
    /// Revoked by the owner.
    Revoked,
    /// Its time is over.
    Expired,
    /// All views are used.
    UsedUp,
}

/// A peer as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Its ID.
    pub id: PeerId,
    /// Its name, if it has one.
    pub name: Option<PeerName>,
    /// Whether it has a live session.
    pub online: bool,
    /// Where other peers reach it while it is online.
    pub address: Option<Address>,
    /// When its last session ended; now, while it is online.
    pub last_seen: Option<Timestamp>,
    /// When its session began, while it is online. An earlier directory does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online_since: Option<Timestamp>,
    /// Why its last session ended; nothing while it is online, or if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    pub last_end: Option<SessionEnd>,
    /// Its images, in a listing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageInfo>,
    /// The key that it holds, as the directory knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SessionEnd {
    /// The peer signed out.
    SignedOut,
    /// The connection was closed, or broke.
    Closed,
    /// The directory gave it up: silent for too long, took nothing, or broke the protocol.
    Dropped,
    /// Another daemon has taken over.
    TakenOver,
    /// The operator ended it.
    Kicked,
    /// The directory stopped.
    Shutdown,
    /// The peer asked nothing for longer than the operator allows.
    Idle,
}

impl SessionEnd {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The state of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum GrantState {
    /// There are views left and time.
    Active,
    /// All views are used; the owner can add some.
    UsedUp,
    /// Its time is over; the owner can extend it.
    Expired,
    /// The owner revoked it, or the image is gone.
    Revoked,
}

impl GrantState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A viewer's grant for an image, as it was at `revision`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which image.
    pub image: ImageNo,
    /// Its owner and its name now.
    pub path: ImagePath,
    /// The owner's name.
    pub owner_name: Option<PeerName>,
    /// Who may view it.
    pub viewer: PeerId,
    /// The viewer's name.
    pub viewer_name: Option<PeerName>,
    /// Views left.
    pub views_left: Allowance,
    /// Views spent since the grant was first created.
    pub views_used: u64,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether the owner revoked it. Use [`Grant::state_at`] for the whole answer.
    pub revoked: bool,
    /// How often it has changed.
    pub revision: Revision,
    /// Which splitting of the content key it belongs to.
    pub split: SplitId,
    /// The sealed copy that it is for.
    pub sealed: SealedCopy,
    /// By which the viewer knows the owner share of this splitting; nothing if its owner did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ShareCheck>,
    /// Whether the owner allows checkouts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_offline: bool,
    /// Views given back from checkouts since the grant was first created.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returned: u64,
    /// It is the offer of a stranger, as peerd tells dosctl. What the directory says here does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offer: bool,
}

// The form that serde asks for.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Grant {
    /// The state at this moment. A revoked grant stays so; then time counts before views.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> GrantState {
        if self.revoked {
            GrantState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            GrantState::Expired
        } else if self.views_left == Allowance::Views(0) {
            GrantState::UsedUp
        } else {
            GrantState::Active
        }
    }
}
