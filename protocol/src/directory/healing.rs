//! What the two sides tell each other about the age of their data, and how a directory that was restored learns again what its
//! peers know.
//!
//! A peer that meets an incarnation of the directory's data that is new to it *asserts* what it knows from before, in batches.
//! Asserting is idempotent: what the directory knows already changes nothing.

use serde::{Deserialize, Serialize};
use strum::VariantNames;

use super::{KeyShare, Publish, Request, SignIn};
use crate::{
    id::{ImageNo, Incarnation, Nonce, PeerId, ViewId},
    model::{Grant, Visibility},
    name::PeerName,
    time::Timestamp,
};

/// What a peer tells of its own state when it signs in. A peer that tells it knows everything in this module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    /// Which attempt to sign in this is.
    pub attempt: Attempt,
    /// The incarnation of the directory's data that it has met last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<Incarnation>,
    /// When the last update that it has stored came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_at: Option<Timestamp>,
}

/// An attempt to sign in. A state raises the number, durably, before each attempt: a number that does not rise is that of a state
/// that was put back from a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many attempts this state has made, with this one.
    pub number: u64,
    /// Drawn for this attempt.
    pub nonce: Nonce,
}

/// What the directory tells a peer of the data of both when it has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataState {
    /// The incarnation of the directory's data.
    pub incarnation: Incarnation,
    /// It is not the first one.
    #[serde(default)]
    pub renewed: bool,
    /// The peer's state was put back from a copy: what it holds may have been used since.
    #[serde(default)]
    pub restored: bool,
    /// The highest of the peer's attempts to sign in: the next one is higher.
    pub attempts: u64,
    /// With it the peer can have its ID back from a directory whose data does not know it any more.
    pub proof: Proof,
}

/// What proves that the directory has given an ID to a key: 32 bytes that only the directory can make.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(#[serde(with = "serde_bytes")] [u8; 32]);

impl Proof {
    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Proof {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(..)")
    }
}

/// See [`super::Op::Reclaim`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reclaim {
    /// The ID that the key had.
    pub id: PeerId,
    /// The name that it had.
    pub name: Option<PeerName>,
    /// What the directory gave with the ID.
    pub proof: Proof,
    /// As in [`super::Op::SignIn`].
    pub sign_in: SignIn,
}

/// What a peer knows from an earlier incarnation of the directory's data: at most
/// [`crate::limits::ASSERTED_MAX`] of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Assertion {
    /// Images that their owner has removed.
    Removed(Vec<ImageNo>),
    /// An image of the peer.
    Image(Box<AssertedImage>),
    /// Grants that the peer has given or received.
    Grants(Vec<AssertedGrant>),
    /// Checkouts whose views the peer holds.
    Checkouts(Vec<AssertedCheckout>),
    /// Requests that the peer has made or received.
    Requests(Vec<Request>),
}

impl Assertion {
    /// How many things are asserted.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Removed(images) => images.len(),
            Self::Image(_) => 1,
            Self::Grants(grants) => grants.len(),
            Self::Checkouts(checkouts) => checkouts.len(),
            Self::Requests(requests) => requests.len(),
        }
    }
}

/// An image as its owner has published it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssertedImage {
    /// The number that the directory gave it.
    pub image: ImageNo,
    /// What it is.
    pub publish: Publish,
    /// Who may see it; as the directory knows it, if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
}

/// A grant as the peer knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssertedGrant {
    /// Its newest state that is known.
    pub grant: Grant,
    /// The directory's share of the content key, of a grant that the peer has given and that is not revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyShare>,
}

/// A checkout of which views are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssertedCheckout {
    /// Of which image.
    pub image: ImageNo,
    /// The view ID of the checkout.
    pub checkout: ViewId,
    /// Its views that are not used.
    pub unused: u32,
}

/// What the directory makes of one thing that was asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asserted {
    /// The directory knows it now.
    Confirmed,
    /// It refers to an image or a peer that the directory does not know (yet): worth being asserted again later.
    Missing,
    /// It contradicts what the directory knows. Outcomes that a newer directory knows are read as this one.
    #[serde(other)]
    Refused,
}
