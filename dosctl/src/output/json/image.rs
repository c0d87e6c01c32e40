//! Images, the peers that have them, and what becomes of them.

use dos_protocol::{
    AlbumName, Allowance, Description, ImageId, ImageName, ImagePath, PeerId, PeerName, TakenAt, Timestamp,
    model::{self, AccessState, Address, Format, PreviewInfo},
    record::SignatureState,
};
use serde::Serialize;

use super::Moment;
use crate::cursor::Token;

/// IMAGE.
#[derive(Debug, Serialize)]
pub(crate) struct Image<'a> {
    owner: PeerId,
    name: &'a ImageName,
    image_id: ImageId,
    format: Format,
    width: Option<u32>,
    height: Option<u32>,
    bytes: u64,
    preview: PreviewInfo,
    access: Option<Access>,
    signature: Option<&'static str>,
    album: Option<&'a AlbumName>,
    description: Option<&'a Description>,
    /// In base64.
    thumbhash: Option<String>,
    /// RFC 3339: in UTC, or the clock's own time with `-00:00` where its zone is not known.
    taken_at: Option<String>,
    /// How far the clock was from UTC.
    taken_zone: Option<String>,
    visibility: &'static str,
    added_at: Option<Moment>,
}

#[derive(Debug, Serialize)]
struct Access {
    state: AccessState,
    views_left: Allowance,
    expires_at: Option<Moment>,
    offer: bool,
}

impl<'a> From<&'a model::ImageInfo> for Image<'a> {
    fn from(image: &'a model::ImageInfo) -> Self {
        let access = image.access.map(|access| Access {
            state: access.state,
            views_left: access.views_left,
            expires_at: access.expires_at.map(Moment),
            offer: access.offer,
        });
        Self {
            owner: image.owner,
            name: &image.name,
            image_id: image.original.image_id,
            format: image.original.format,
            width: image.original.size().map(|size| size.0),
            height: image.original.size().map(|size| size.1),
            bytes: image.original.bytes,
            preview: image.preview,
            access,
            signature: image.signature.map(SignatureState::as_str),
            album: image.album(),
            description: image.description(),
            thumbhash: image.thumbhash().map(ToString::to_string),
            taken_at: image.taken_at().map(TakenAt::rfc3339),
            taken_zone: image.taken_at().and_then(TakenAt::zone),
            visibility: image.visibility.as_str(),
            added_at: image.added_at.map(Moment),
        }
    }
}

/// Of `add`.
#[derive(Debug, Serialize)]
pub(crate) struct Images<'a> {
    /// Those that were added.
    pub(crate) images: Vec<Image<'a>>,
    /// What should be known of some of them.
    pub(crate) warnings: Vec<Warning>,
    /// Images in folders that are published as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unchanged: Option<u64>,
    /// Files in folders that are no images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<u64>,
}

/// Of `set`, of many.
#[derive(Debug, Serialize)]
pub(crate) struct Set<'a> {
    /// Those that are as was wanted.
    pub(crate) images: Vec<Image<'a>>,
    /// How many could not be changed.
    pub(crate) failed: usize,
}

/// What should be known of an image.
#[derive(Debug, Serialize)]
pub(crate) struct Warning {
    /// Which.
    pub(crate) image: ImageName,
    /// A text for a person.
    pub(crate) message: Box<str>,
}

/// A peer; with its images in a listing.
#[derive(Debug, Serialize)]
pub(crate) struct Peer<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
    online: bool,
    address: Option<Address>,
    online_since: Option<Moment>,
    last_seen: Option<Moment>,
    last_seen_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Vec<Image<'a>>>,
}

impl<'a> Peer<'a> {
    /// A peer alone, as `resolve` shows it.
    #[must_use]
    pub(crate) fn alone(peer: &'a model::PeerInfo) -> Self {
        Self {
            id: peer.id,
            name: peer.name.as_ref(),
            online: peer.online,
            address: peer.address,
            online_since: peer.online_since.map(Moment),
            last_seen: peer.last_seen.map(Moment),
            last_seen_reason: peer.last_end.map(model::SessionEnd::as_str),
            images: None,
        }
    }

    fn listed(peer: &'a model::PeerInfo) -> Self {
        Self { images: Some(peer.images.iter().map(Image::from).collect()), ..Self::alone(peer) }
    }
}

/// Of `list`.
#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    peers: Vec<Peer<'a>>,
    next: Option<Token>,
    /// Of a listing from its start to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
    /// When the directory has shown it, if it is out of reach now.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<Moment>,
}

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Total {
    pub(crate) peers: usize,
    pub(crate) images: usize,
}

impl Total {
    #[must_use]
    pub(crate) fn of(peers: &[model::PeerInfo]) -> Self {
        Self { peers: peers.len(), images: peers.iter().map(|peer| peer.images.len()).sum() }
    }
}

impl<'a> Page<'a> {
    /// A page that ends at `next`.
    #[must_use]
    pub(crate) fn new(peers: &'a [model::PeerInfo], next: Option<Token>) -> Self {
        Self { peers: peers.iter().map(Peer::listed).collect(), next, total: None, as_of: None }
    }

    /// The page as it was shown at that moment.
    #[must_use]
    pub(crate) fn seen_at(self, at: Option<Timestamp>) -> Self {
        Self { as_of: at.map(Moment), ..self }
    }

    /// The page with a total.
    #[must_use]
    pub(crate) fn with_total(self, total: Option<Total>) -> Self {
        Self { total, ..self }
    }
}

/// Of `remove`.
#[derive(Debug, Serialize)]
pub(crate) struct Removed<'a> {
    /// The image that is gone.
    pub(crate) image: &'a ImagePath,
}

/// Of `remove`, of many.
#[derive(Debug, Serialize)]
pub(crate) struct RemovedAll<'a> {
    /// The images that are gone.
    pub(crate) images: Vec<&'a ImagePath>,
    /// How many could not be removed.
    pub(crate) failed: usize,
}

/// Of `preview`.
#[derive(Debug, Serialize)]
pub(crate) struct Preview<'a> {
    pub(crate) image: &'a ImagePath,
    /// What the preview is: `format width height bytes`.
    #[serde(flatten)]
    pub(crate) info: PreviewInfo,
    /// What is to be thought of it.
    pub(crate) signature: Option<&'static str>,
    /// When the directory has shown it, if it is out of reach now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<Moment>,
}

/// Of `view`.
#[derive(Debug, Serialize)]
pub(crate) struct Viewed<'a> {
    pub(crate) image: &'a ImagePath,
    /// The size of the original.
    pub(crate) bytes: u64,
    pub(crate) views_left: Allowance,
    /// The hash of the original.
    pub(crate) image_id: ImageId,
}

/// Of `view`, of several.
#[derive(Debug, Serialize)]
pub(crate) struct ViewedAll<'a> {
    /// Those that were viewed, each with its file.
    pub(crate) images: Vec<ViewedTo<'a>>,
    /// How many could not be viewed.
    pub(crate) failed: usize,
}

/// See [`ViewedAll`].
#[derive(Debug, Serialize)]
pub(crate) struct ViewedTo<'a> {
    #[serde(flatten)]
    pub(crate) viewed: Viewed<'a>,
    /// Where it is saved.
    pub(crate) file: std::borrow::Cow<'a, str>,
}

/// Of `checkout` and `checkin`.
#[derive(Debug, Serialize)]
pub(crate) struct Held<'a> {
    pub(crate) image: &'a ImagePath,
    /// Views held here.
    pub(crate) held: u32,
    /// Views left at the directory.
    pub(crate) views_left: Allowance,
}
