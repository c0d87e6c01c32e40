//! Pages of peers and their images.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageNo, PeerId},
    model::{PeerInfo, PeerRef},
    name::ImageName,
    time::Timestamp,
};

/// See [`super::Op::List`]. An entry of a page is an image, or a peer without any; a peer whose images do not fit a page
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
    /// In place of `seen_since`: peers that are online, or were within this time, in milliseconds by the directory's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_within_ms: Option<u64>,
}

/// Where a page of a listing ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last peer on it.
    pub peer: PeerId,
    /// Its last image on it; nothing if all of its images were.
    pub image: Option<ImageName>,
}

/// See [`super::Answer::Page`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Peers in the order of their IDs, each with its images in the order of their names.
    pub peers: Vec<PeerInfo>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// See [`super::Op::Newest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Newest {
    /// One peer's only.
    pub peer: Option<PeerRef>,
    /// Those before this one, which was the last of an earlier page.
    pub before: Option<ImageNo>,
    /// Images wanted, at most [`crate::limits::PAGE_MAX`].
    pub limit: u32,
}

/// See [`super::Answer::Newest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewestPage {
    /// Images, the newest first, with their owners: one whose images do not follow each other comes several times.
    pub peers: Vec<PeerInfo>,
    /// Where to go on, if there are more.
    pub before: Option<ImageNo>,
}
