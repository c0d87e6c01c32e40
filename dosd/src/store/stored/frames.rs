//! Rows that stores up to schema 5 have written: whole frames as they were sent. Frozen: nothing here changes with the protocol.
//!
//! Values (IDs, names, paths, hashes) are read by the protocol's own types, whose form on the wire is one for ever.

use dos_protocol::{
    Allowance, ImageNo, MessageId, PeerId, PeerName, Revision, SealedHash, SplitId, Timestamp, ViewId,
    directory::{self, InboxMessage, RequestState, Update, ViewedKind},
    frame,
    model::{self, ImagePath, SealedCopy},
};
use serde::Deserialize;

use super::StoredError;

/// Bytes of a frame before its body.
const LENGTH_BYTES: usize = 4;

/// What a row of an old store says, and since when.
pub(super) fn decode(bytes: &[u8]) -> Result<(Timestamp, Update), StoredError> {
    let body = bytes.get(LENGTH_BYTES..).unwrap_or_default();
    let Frame::Update { at, update } = frame::decode(body)?;
    Ok((at, update.into()))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    // Its number stands in the row, too.
    Update { at: Timestamp, update: Old },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Old {
    Grant(Box<Grant>),
    Viewed(Box<Viewed>),
    Removed { image: ImageNo, path: ImagePath },
    Renamed { image: ImageNo, path: ImagePath },
    Request(Box<Request>),
    Decision(Box<Request>),
    Message(Box<Message>),
    Void,
}

#[derive(Deserialize)]
struct Grant {
    image: ImageNo,
    path: ImagePath,
    owner_name: Option<PeerName>,
    viewer: PeerId,
    viewer_name: Option<PeerName>,
    views_left: Option<u32>,
    views_used: u64,
    expires_at: Option<Timestamp>,
    revoked: bool,
    revision: Revision,
    split: SplitId,
    sealed: Sealed,
}

#[derive(Deserialize)]
struct Sealed {
    hash: SealedHash,
    bytes: u64,
}

#[derive(Deserialize)]
struct Viewed {
    view: ViewId,
    views: u32,
    kind: Kind,
    grant: Grant,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    View,
    Checkout,
    Checkin,
}

#[derive(Deserialize)]
struct Request {
    request: u64,
    image: ImageNo,
    path: ImagePath,
    owner_name: Option<PeerName>,
    from: PeerId,
    from_name: Option<PeerName>,
    views: u32,
    state: State,
    note: Option<Box<str>>,
    reason: Option<Box<str>>,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
    revision: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Pending,
    Approved,
    Denied,
    Cancelled,
}

#[derive(Deserialize)]
struct Message {
    message: MessageId,
    from: PeerId,
    from_name: Option<PeerName>,
    sent_at: Timestamp,
    text: Box<str>,
}

impl From<Grant> for model::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            image: grant.image,
            path: grant.path,
            owner_name: grant.owner_name,
            viewer: grant.viewer,
            viewer_name: grant.viewer_name,
            views_left: Allowance::from(grant.views_left),
            views_used: grant.views_used,
            expires_at: grant.expires_at,
            revoked: grant.revoked,
            revision: grant.revision,
            split: grant.split,
            sealed: SealedCopy { hash: grant.sealed.hash, bytes: grant.sealed.bytes },
            check: None,
            allow_offline: false,
            returned: 0,
            offer: false,
        }
    }
}

impl From<Request> for directory::Request {
    fn from(request: Request) -> Self {
        Self {
            request: request.request,
            image: request.image,
            path: request.path,
            owner_name: request.owner_name,
            from: request.from,
            from_name: request.from_name,
            views: request.views,
            state: match request.state {
                State::Pending => RequestState::Pending,
                State::Approved => RequestState::Approved,
                State::Denied => RequestState::Denied,
                State::Cancelled => RequestState::Cancelled,
            },
            note: request.note,
            reason: request.reason,
            created_at: request.created_at,
            decided_at: request.decided_at,
            revision: request.revision,
            offline: false,
        }
    }
}

impl From<Old> for Update {
    fn from(old: Old) -> Self {
        match old {
            Old::Grant(grant) => Self::Grant(Box::new((*grant).into())),
            Old::Viewed(viewed) => Self::Viewed(Box::new(directory::Viewed {
                view: viewed.view,
                views: viewed.views,
                kind: match viewed.kind {
                    Kind::View => ViewedKind::View,
                    Kind::Checkout => ViewedKind::Checkout,
                    Kind::Checkin => ViewedKind::Checkin,
                },
                grant: viewed.grant.into(),
            })),
            Old::Removed { image, path } => Self::Removed { image, path },
            Old::Renamed { image, path } => Self::Renamed { image, path },
            Old::Request(request) => Self::Request(Box::new((*request).into())),
            Old::Decision(request) => Self::Decision(Box::new((*request).into())),
            Old::Message(message) => Self::Message(Box::new(InboxMessage {
                message: message.message,
                from: message.from,
                from_name: message.from_name,
                sent_at: message.sent_at,
                text: message.text,
                from_key: None,
                sealed: None,
                signature: None,
            })),
            Old::Void => Self::Void,
        }
    }
}
