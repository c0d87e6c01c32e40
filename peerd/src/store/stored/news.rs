//! News as they are stored: what would change or go away meanwhile is stored whole, and what is kept elsewhere as a reference.

use dos_protocol::{
    ImageName, ImagePath, PeerId, PeerName,
    control::{ImageChange, ImageChanged},
    directory::{Request, ViewedKind},
    invitation::InvitationId,
    model::Grant,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::{Stored, grant::GrantRow, peer_name, request::RequestRow};

/// A piece of news.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Item {
    /// A grant, and whether it is an offer.
    Grant(Box<Grant>, bool),
    /// A receipt.
    Viewed {
        /// How many views.
        views: u32,
        /// What happened to them.
        kind: ViewedKind,
        /// The grant after that.
        grant: Box<Grant>,
    },
    /// An image is gone.
    Removed(ImagePath),
    /// An image has another name.
    Renamed {
        /// As it is called now.
        path: ImagePath,
        /// As it was called.
        was: ImageName,
        /// The owner's name.
        owner_name: Option<PeerName>,
    },
    /// What became of an image of another peer.
    Image(Box<ImageChange>),
    /// A contact has another name.
    Named {
        /// Who.
        id: PeerId,
        /// Its name now.
        name: PeerName,
        /// Its name before.
        was: Option<PeerName>,
    },
    /// A contact has left the directory.
    Left {
        /// Who.
        id: PeerId,
        /// The name that it had.
        name: Option<PeerName>,
    },
    /// A request of another peer.
    Request(Box<Request>),
    /// The answer to one of one's own.
    Decision(Box<Request>),
    /// A word of the operator's.
    Notice(Box<str>),
    /// The message at this place.
    Message(u64),
    /// The request for contact of this number.
    Contact(u64),
    /// This contact appears with another key.
    KeyChange(PeerId),
    /// An invitation, and whether it was made here.
    Invite(InvitationId, bool),
}

/// See [`Item`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::store) struct ItemRow {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<GrantRow>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    offer: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestRow>,
    /// `OWNERID/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The name of an image, or of a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    views: Option<u32>,
    /// What happened to the views, or to the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    how: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// A place, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invitation: Option<ByteArray<16>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    made: bool,
}

impl Stored for Item {
    const WHAT: &'static str = "news";
    type Row = ItemRow;

    fn row(&self) -> ItemRow {
        let none = ItemRow::default();
        let kind = |kind: &str| kind.to_owned();
        match self {
            Self::Grant(grant, offer) => {
                ItemRow { kind: kind("grant"), grant: Some(grant.row()), offer: *offer, ..none }
            }
            Self::Viewed { views, kind: how, grant } => ItemRow {
                kind: kind("viewed"),
                grant: Some(grant.row()),
                views: Some(*views),
                how: Some(how_text(*how).into()),
                ..none
            },
            Self::Removed(path) => ItemRow { kind: kind("removed"), path: Some(path.to_string()), ..none },
            Self::Renamed { path, was, owner_name } => ItemRow {
                kind: kind("renamed"),
                path: Some(path.to_string()),
                was: Some(was.to_string()),
                name: owner_name.as_ref().map(ToString::to_string),
                ..none
            },
            Self::Image(image) => ItemRow {
                kind: kind("image"),
                path: Some(image.path.to_string()),
                was: image.was.as_ref().map(ToString::to_string),
                name: image.owner_name.as_ref().map(ToString::to_string),
                how: Some(change_text(image.change).into()),
                ..none
            },
            Self::Named { id, name, was } => ItemRow {
                kind: kind("named"),
                peer: Some(id.to_string()),
                name: Some(name.to_string()),
                was: was.as_ref().map(ToString::to_string),
                ..none
            },
            Self::Left { id, name } => ItemRow {
                kind: kind("left"),
                peer: Some(id.to_string()),
                name: name.as_ref().map(ToString::to_string),
                ..none
            },
            Self::Request(request) => ItemRow { kind: kind("request"), request: Some(request.row()), ..none },
            Self::Decision(request) => {
                ItemRow { kind: kind("decision"), request: Some(request.row()), ..none }
            }
            Self::Notice(text) => ItemRow { kind: kind("notice"), text: Some(text.clone()), ..none },
            Self::Message(place) => ItemRow { kind: kind("message"), number: Some(*place), ..none },
            Self::Contact(number) => ItemRow { kind: kind("contact"), number: Some(*number), ..none },
            Self::KeyChange(peer) => {
                ItemRow { kind: kind("key_change"), peer: Some(peer.to_string()), ..none }
            }
            Self::Invite(id, made) => ItemRow {
                kind: kind("invite"),
                invitation: Some(ByteArray::new(*id.as_bytes())),
                made: *made,
                ..none
            },
        }
    }

    fn from_row(row: ItemRow) -> Option<Self> {
        let path = |path: Option<String>| path?.parse::<ImagePath>().ok();
        let grant = |row: Option<GrantRow>| Some(Box::new(Grant::from_row(row?)?));
        let request = |row: Option<RequestRow>| Some(Box::new(Request::from_row(row?)?));
        Some(match &*row.kind {
            "grant" => Self::Grant(grant(row.grant)?, row.offer),
            "viewed" => Self::Viewed { views: row.views?, kind: how(&row.how?)?, grant: grant(row.grant)? },
            "removed" => Self::Removed(path(row.path)?),
            "renamed" => Self::Renamed {
                path: path(row.path)?,
                was: row.was?.parse().ok()?,
                owner_name: peer_name(row.name).ok()?,
            },
            "image" => Self::Image(Box::new(ImageChange {
                path: path(row.path)?,
                owner_name: peer_name(row.name).ok()?,
                change: change(&row.how?)?,
                was: match row.was {
                    Some(was) => Some(was.parse().ok()?),
                    None => None,
                },
            })),
            "named" => Self::Named {
                id: row.peer?.parse().ok()?,
                name: row.name?.parse().ok()?,
                was: peer_name(row.was).ok()?,
            },
            "left" => Self::Left { id: row.peer?.parse().ok()?, name: peer_name(row.name).ok()? },
            "request" => Self::Request(request(row.request)?),
            "decision" => Self::Decision(request(row.request)?),
            "notice" => Self::Notice(row.text?),
            "message" => Self::Message(row.number?),
            "contact" => Self::Contact(row.number?),
            "key_change" => Self::KeyChange(row.peer?.parse().ok()?),
            "invite" => Self::Invite(row.invitation?.into_array().into(), row.made),
            _ => return None,
        })
    }
}

fn change_text(change: ImageChanged) -> &'static str {
    match change {
        ImageChanged::Added => "added",
        ImageChanged::Replaced => "replaced",
        ImageChanged::Renamed => "renamed",
        ImageChanged::Removed => "removed",
    }
}

fn change(text: &str) -> Option<ImageChanged> {
    let all = [ImageChanged::Added, ImageChanged::Replaced, ImageChanged::Renamed, ImageChanged::Removed];
    all.into_iter().find(|change| change_text(*change) == text)
}

fn how_text(kind: ViewedKind) -> &'static str {
    match kind {
        ViewedKind::View => "view",
        ViewedKind::Checkout => "checkout",
        ViewedKind::Checkin => "checkin",
        ViewedKind::GivenUp => "given_up",
    }
}

fn how(text: &str) -> Option<ViewedKind> {
    Some(match text {
        "view" => ViewedKind::View,
        "checkout" => ViewedKind::Checkout,
        "checkin" => ViewedKind::Checkin,
        "given_up" => ViewedKind::GivenUp,
        _ => return None,
    })
}
