//! Version 1 of what is stored. Released: fields and their order, variants and their order are never changed; new variants come
//! at the end.

use dos_protocol::{
    Allowance, ImageNo, PeerId, PeerName, Revision, Timestamp,
    directory::{self, InboxMessage, RequestState, Update, ViewedKind},
    model::{self, ImagePath, SealedCopy},
};
use serde::{Deserialize, Serialize};

use super::StoredError;

/// A row of an inbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row<'a> {
    pub(super) at: i64,
    #[serde(borrow)]
    pub(super) update: Body<'a>,
}

/// What a row says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Body<'a> {
    #[serde(borrow)]
    Grant(Grant<'a>),
    Viewed {
        view: [u8; 16],
        views: u32,
        kind: Kind,
        #[serde(borrow)]
        grant: Grant<'a>,
    },
    Removed {
        image: u64,
        #[serde(borrow)]
        path: Path<'a>,
    },
    Renamed {
        image: u64,
        #[serde(borrow)]
        path: Path<'a>,
    },
    #[serde(borrow)]
    Request(Request<'a>),
    #[serde(borrow)]
    Decision(Request<'a>),
    Message {
        message: [u8; 16],
        from: u64,
        from_name: Option<&'a str>,
        sent_at: i64,
        text: &'a str,
    },
    Void,
    /// From here on: what has gained something since, with that behind it.
    FullerGrant(#[serde(borrow)] Grant<'a>, MoreOfGrant),
    FullerViewed {
        view: [u8; 16],
        views: u32,
        kind: Kind,
        #[serde(borrow)]
        grant: Grant<'a>,
        more: MoreOfGrant,
    },
    FullerRequest(#[serde(borrow)] Request<'a>, MoreOfRequest),
    FullerDecision(#[serde(borrow)] Request<'a>, MoreOfRequest),
    /// A message that only its recipient can read.
    Sealed {
        message: [u8; 16],
        from: u64,
        from_name: Option<&'a str>,
        from_key: Option<[u8; 32]>,
        sent_at: i64,
        sealed: &'a [u8],
    },
    Delivered {
        message: [u8; 16],
        to: u64,
    },
    Operator(&'a str),
    Greeting {
        from: u64,
        greeting: &'a [u8],
    },
}

/// What a grant has gained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MoreOfGrant {
    check: Option<[u8; 32]>,
    allow_offline: bool,
    returned: u64,
}

/// What a request has gained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MoreOfRequest {
    offline: bool,
}

impl MoreOfGrant {
    /// That of a grant; nothing where it has nothing of it, so that it is stored as before.
    pub(super) fn of(grant: &model::Grant) -> Option<Self> {
        let check = grant.check.as_ref().map(|check| *check.as_bytes());
        let more = Self { check, allow_offline: grant.allow_offline, returned: grant.returned };
        (more != Self::default()).then_some(more)
    }

    /// The grant with it.
    pub(super) fn on(self, grant: Grant<'_>) -> Result<model::Grant, StoredError> {
        let grant = model::Grant::try_from(grant)?;
        let check = self.check.map(Into::into);
        Ok(model::Grant { check, allow_offline: self.allow_offline, returned: self.returned, ..grant })
    }
}

impl MoreOfRequest {
    /// That of a request; nothing where it has nothing of it.
    pub(super) fn of(request: &directory::Request) -> Option<Self> {
        let more = Self { offline: request.offline };
        (more != Self::default()).then_some(more)
    }

    /// The request with it.
    pub(super) fn on(self, request: Request<'_>) -> Result<directory::Request, StoredError> {
        Ok(directory::Request { offline: self.offline, ..directory::Request::try_from(request)? })
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Kind {
    View,
    Checkout,
    Checkin,
    GivenUp,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum State {
    Pending,
    Approved,
    Denied,
    Cancelled,
}

/// A format by its name, so that a new one needs no new version.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Picture<'a> {
    pub(super) format: &'a str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Path<'a> {
    owner: u64,
    name: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sealed {
    hash: [u8; 32],
    bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Grant<'a> {
    image: u64,
    #[serde(borrow)]
    path: Path<'a>,
    owner_name: Option<&'a str>,
    viewer: u64,
    viewer_name: Option<&'a str>,
    views_left: Option<u32>,
    views_used: u64,
    expires_at: Option<i64>,
    revoked: bool,
    revision: u64,
    split: [u8; 16],
    sealed: Sealed,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request<'a> {
    request: u64,
    image: u64,
    #[serde(borrow)]
    path: Path<'a>,
    owner_name: Option<&'a str>,
    from: u64,
    from_name: Option<&'a str>,
    views: u32,
    state: State,
    note: Option<&'a str>,
    reason: Option<&'a str>,
    created_at: i64,
    decided_at: Option<i64>,
    revision: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image<'a> {
    pub(super) no: u64,
    #[serde(borrow)]
    pub(super) path: Path<'a>,
    pub(super) image_id: [u8; 32],
    #[serde(borrow)]
    pub(super) original: Picture<'a>,
    pub(super) sealed: Sealed,
    #[serde(borrow)]
    pub(super) preview: Picture<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Blocked<'a> {
    pub(super) peer: u64,
    pub(super) name: Option<&'a str>,
    pub(super) messages_purged: u64,
    pub(super) requests_purged: u64,
    pub(super) grants: u64,
}

/// The answer to a change.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer<'a> {
    Done,
    #[serde(borrow)]
    Grant(Grant<'a>),
    #[serde(borrow)]
    Request(Request<'a>),
    #[serde(borrow)]
    Image(Image<'a>),
    #[serde(borrow)]
    Blocked(Blocked<'a>),
    FullerGrant(#[serde(borrow)] Grant<'a>, MoreOfGrant),
    FullerRequest(#[serde(borrow)] Request<'a>, MoreOfRequest),
    /// An image that not every peer sees.
    PrivateImage(#[serde(borrow)] Image<'a>),
}

fn peer(number: u64) -> Result<PeerId, StoredError> {
    PeerId::from_number(number).ok_or(StoredError::Value)
}

fn name(name: Option<&str>) -> Result<Option<PeerName>, StoredError> {
    name.map(|name| name.parse().map_err(|_| StoredError::Value)).transpose()
}

fn text(text: Option<&str>) -> Option<Box<str>> {
    text.map(Into::into)
}

impl<'a> From<&'a ImagePath> for Path<'a> {
    fn from(path: &'a ImagePath) -> Self {
        Self { owner: path.owner.number(), name: path.name.as_str() }
    }
}

impl TryFrom<Path<'_>> for ImagePath {
    type Error = StoredError;

    fn try_from(path: Path<'_>) -> Result<Self, StoredError> {
        let name = path.name.parse().map_err(|_| StoredError::Value)?;
        Ok(Self { owner: peer(path.owner)?, name })
    }
}

impl From<SealedCopy> for Sealed {
    fn from(sealed: SealedCopy) -> Self {
        Self { hash: *sealed.hash.as_bytes(), bytes: sealed.bytes }
    }
}

impl From<Sealed> for SealedCopy {
    fn from(sealed: Sealed) -> Self {
        Self { hash: sealed.hash.into(), bytes: sealed.bytes }
    }
}

impl<'a> From<&'a model::Grant> for Grant<'a> {
    fn from(grant: &'a model::Grant) -> Self {
        Self {
            image: grant.image.0,
            path: (&grant.path).into(),
            owner_name: grant.owner_name.as_ref().map(PeerName::as_str),
            viewer: grant.viewer.number(),
            viewer_name: grant.viewer_name.as_ref().map(PeerName::as_str),
            views_left: grant.views_left.into(),
            views_used: grant.views_used,
            expires_at: grant.expires_at.map(|at| at.0),
            revoked: grant.revoked,
            revision: grant.revision.0,
            split: *grant.split.as_bytes(),
            sealed: grant.sealed.into(),
        }
    }
}

impl TryFrom<Grant<'_>> for model::Grant {
    type Error = StoredError;

    fn try_from(grant: Grant<'_>) -> Result<Self, StoredError> {
        Ok(Self {
            image: ImageNo(grant.image),
            path: grant.path.try_into()?,
            owner_name: name(grant.owner_name)?,
            viewer: peer(grant.viewer)?,
            viewer_name: name(grant.viewer_name)?,
            views_left: Allowance::from(grant.views_left),
            views_used: grant.views_used,
            expires_at: grant.expires_at.map(Timestamp),
            revoked: grant.revoked,
            revision: Revision(grant.revision),
            split: grant.split.into(),
            sealed: grant.sealed.into(),
            check: None,
            allow_offline: false,
            returned: 0,
            offer: false,
        })
    }
}

impl<'a> From<&'a directory::Request> for Request<'a> {
    fn from(request: &'a directory::Request) -> Self {
        Self {
            request: request.request,
            image: request.image.0,
            path: (&request.path).into(),
            owner_name: request.owner_name.as_ref().map(PeerName::as_str),
            from: request.from.number(),
            from_name: request.from_name.as_ref().map(PeerName::as_str),
            views: request.views,
            state: match request.state {
                RequestState::Pending => State::Pending,
                RequestState::Approved => State::Approved,
                RequestState::Denied => State::Denied,
                RequestState::Cancelled => State::Cancelled,
            },
            note: request.note.as_deref(),
            reason: request.reason.as_deref(),
            created_at: request.created_at.0,
            decided_at: request.decided_at.map(|at| at.0),
            revision: request.revision,
        }
    }
}

impl TryFrom<Request<'_>> for directory::Request {
    type Error = StoredError;

    fn try_from(request: Request<'_>) -> Result<Self, StoredError> {
        Ok(Self {
            request: request.request,
            image: ImageNo(request.image),
            path: request.path.try_into()?,
            owner_name: name(request.owner_name)?,
            from: peer(request.from)?,
            from_name: name(request.from_name)?,
            views: request.views,
            state: match request.state {
                State::Pending => RequestState::Pending,
                State::Approved => RequestState::Approved,
                State::Denied => RequestState::Denied,
                State::Cancelled => RequestState::Cancelled,
            },
            note: text(request.note),
            reason: text(request.reason),
            created_at: Timestamp(request.created_at),
            decided_at: request.decided_at.map(Timestamp),
            revision: request.revision,
            offline: false,
        })
    }
}

impl<'a> From<&'a Update> for Body<'a> {
    fn from(update: &'a Update) -> Self {
        match update {
            Update::Grant(grant) => match MoreOfGrant::of(grant) {
                None => Self::Grant((&**grant).into()),
                Some(more) => Self::FullerGrant((&**grant).into(), more),
            },
            Update::Viewed(viewed) => of_viewed(viewed),
            Update::Removed { image, path } => Self::Removed { image: image.0, path: path.into() },
            Update::Renamed { image, path } => Self::Renamed { image: image.0, path: path.into() },
            Update::Request(request) => match MoreOfRequest::of(request) {
                None => Self::Request((&**request).into()),
                Some(more) => Self::FullerRequest((&**request).into(), more),
            },
            Update::Decision(request) => match MoreOfRequest::of(request) {
                None => Self::Decision((&**request).into()),
                Some(more) => Self::FullerDecision((&**request).into(), more),
            },
            Update::Message(message) if message.sealed.is_some() => Self::Sealed {
                message: *message.message.as_bytes(),
                from: message.from.number(),
                from_name: message.from_name.as_ref().map(PeerName::as_str),
                from_key: message.from_key.map(|key| *key.as_bytes()),
                sent_at: message.sent_at.0,
                sealed: message.sealed.as_deref().unwrap_or_default(),
            },
            Update::Message(message) => Self::Message {
                message: *message.message.as_bytes(),
                from: message.from.number(),
                from_name: message.from_name.as_ref().map(PeerName::as_str),
                sent_at: message.sent_at.0,
                text: &message.text,
            },
            Update::Void => Self::Void,
            Update::Delivered(delivered) => {
                Self::Delivered { message: *delivered.message.as_bytes(), to: delivered.to.number() }
            }
            Update::Operator(text) => Self::Operator(text),
            Update::Greeting(greeted) => {
                Self::Greeting { from: greeted.from.number(), greeting: greeted.greeting.as_bytes() }
            }
        }
    }
}

fn of_viewed(viewed: &directory::Viewed) -> Body<'_> {
    let (view, views, grant) = (*viewed.view.as_bytes(), viewed.views, (&viewed.grant).into());
    let kind = match viewed.kind {
        ViewedKind::View => Kind::View,
        ViewedKind::Checkout => Kind::Checkout,
        ViewedKind::Checkin => Kind::Checkin,
        ViewedKind::GivenUp => Kind::GivenUp,
    };
    match MoreOfGrant::of(&viewed.grant) {
        None => Body::Viewed { view, views, kind, grant },
        Some(more) => Body::FullerViewed { view, views, kind, grant, more },
    }
}

fn viewed((view, views): ([u8; 16], u32), kind: Kind, grant: model::Grant) -> Update {
    let kind = match kind {
        Kind::View => ViewedKind::View,
        Kind::Checkout => ViewedKind::Checkout,
        Kind::Checkin => ViewedKind::Checkin,
        Kind::GivenUp => ViewedKind::GivenUp,
    };
    Update::Viewed(Box::new(directory::Viewed { view: view.into(), views, kind, grant }))
}

impl TryFrom<Body<'_>> for Update {
    type Error = StoredError;

    fn try_from(body: Body<'_>) -> Result<Self, StoredError> {
        Ok(match body {
            Body::Grant(grant) => Self::Grant(Box::new(grant.try_into()?)),
            Body::Viewed { view, views, kind, grant } => viewed((view, views), kind, grant.try_into()?),
            Body::Removed { image, path } => Self::Removed { image: ImageNo(image), path: path.try_into()? },
            Body::Renamed { image, path } => Self::Renamed { image: ImageNo(image), path: path.try_into()? },
            Body::Request(request) => Self::Request(Box::new(request.try_into()?)),
            Body::Decision(request) => Self::Decision(Box::new(request.try_into()?)),
            Body::Message { message, from, from_name, sent_at, text } => {
                Self::Message(Box::new(InboxMessage {
                    message: message.into(),
                    from: peer(from)?,
                    from_name: name(from_name)?,
                    sent_at: Timestamp(sent_at),
                    text: text.into(),
                    sealed: None,
                    from_key: None,
                    signature: None,
                }))
            }
            Body::Sealed { message, from, from_name, from_key, sent_at, sealed } => {
                Self::Message(Box::new(InboxMessage {
                    message: message.into(),
                    from: peer(from)?,
                    from_name: name(from_name)?,
                    sent_at: Timestamp(sent_at),
                    text: "".into(),
                    sealed: Some(sealed.into()),
                    from_key: from_key.map(Into::into),
                    signature: None,
                }))
            }
            Body::Void => Self::Void,
            Body::FullerGrant(grant, more) => Self::Grant(Box::new(more.on(grant)?)),
            Body::FullerViewed { view, views, kind, grant, more } => {
                viewed((view, views), kind, more.on(grant)?)
            }
            Body::FullerRequest(request, more) => Self::Request(Box::new(more.on(request)?)),
            Body::FullerDecision(request, more) => Self::Decision(Box::new(more.on(request)?)),
            Body::Delivered { message, to } => {
                Self::Delivered(Box::new(directory::Delivered { message: message.into(), to: peer(to)? }))
            }
            Body::Operator(text) => Self::Operator(text.into()),
            Body::Greeting { from, greeting } => {
                let greeting = greeting.to_vec().try_into().map_err(|_| StoredError::Value)?;
                Self::Greeting(Box::new(directory::Greeted { from: peer(from)?, greeting }))
            }
        })
    }
}
