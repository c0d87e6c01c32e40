//! Following other peers: what they show, and what they are called. What happens while a session follows is pushed and not kept; what
//! was shown while there was none is asked for.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageNo, PeerId},
    model::PeerInfo,
    name::{ImageName, PeerName},
    time::Timestamp,
};

/// See [`super::Op::Follow`]. It takes the place of what the session followed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Whom, at most [`crate::limits::FOLLOWED_MAX`].
    pub peers: Vec<PeerId>,
    /// Of their images those with a higher number than this one are wanted; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ImageNo>,
}

/// See [`super::Answer::Followed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// Those of the followed peers that are registered, with the images that were asked for and that everybody may see. Of both
    /// together the oldest, at most [`crate::limits::PAGE_MAX`] images.
    pub peers: Vec<PeerInfo>,
    /// Up to this number these are all.
    pub upto: ImageNo,
    /// Whether there are more behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Something that a followed peer has done, pushed to those who follow it and are not owed an update of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNews {
    /// Who.
    pub peer: PeerId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: PeerChange,
}

/// See [`PeerNews`]. Of images those that everybody may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerChange {
    /// An image is there that was not, or that not everybody could see.
    Added {
        /// Its number.
        image: ImageNo,
        /// Its name.
        name: ImageName,
    },
    /// Another picture has taken the place of an image.
    Replaced {
        /// Its number.
        image: ImageNo,
        /// Its name.
        name: ImageName,
    },
    /// An image has another name.
    Renamed {
        /// Its number.
        image: ImageNo,
        /// Its name now.
        name: ImageName,
        /// Its name before.
        was: ImageName,
    },
    /// An image is gone, or not everybody sees it any more.
    Removed {
        /// Its number.
        image: ImageNo,
        /// The name that it had.
        name: ImageName,
    },
    /// The peer has another name.
    Named(PeerName),
    /// The peer has left the directory for good.
    Left,
}
