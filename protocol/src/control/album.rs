//! Albums and descriptions, and what is shared with whoever is to get what comes into an album.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    model::Allowance,
    name::{AlbumName, Description, PeerName},
    time::Timestamp,
};

/// What becomes of the album of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlbumChange {
    /// It is in this one from now on, and in no other.
    In(AlbumName),
    /// It is in none.
    Out,
}

/// What becomes of the description of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DescriptionChange {
    /// It has this one from now on.
    To(Description),
    /// It has none.
    Out,
}

/// An album of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlbumSummary {
    /// Its name.
    pub name: AlbumName,
    /// Images in it.
    pub images: u64,
    /// Of these, private ones.
    pub private: u64,
    /// Peers that get what comes into it.
    pub rules: u64,
}

/// What a peer gets for every image of an album.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Views of each image.
    pub views: Allowance,
    /// For how long from the moment at which each is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Duration>,
    /// Whether views may be checked out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_offline: bool,
}

/// A rule: a peer gets every image of an album, also those that come into it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Of which album.
    pub album: AlbumName,
    /// Who gets them.
    pub viewer: PeerId,
    /// The name by which it is known.
    pub viewer_name: Option<PeerName>,
    /// On which terms.
    pub terms: Terms,
    /// Since when.
    pub since: Timestamp,
    /// Images that were given by it.
    pub given: u64,
    /// Images that are to be given.
    pub waiting: u64,
    /// Images that could not be given.
    pub failed: u64,
    /// Why, of the last of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Box<str>>,
}
