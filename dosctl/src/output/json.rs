//! The JSON documents. Scripts rely on every key: keys are only ever added.
//!
//! Times are RFC 3339 in UTC, a number of views is an integer or `null` for unlimited, peers are IDs.

mod event;
mod message;
mod transfer;

pub use event::Event;
pub use message::{Blocked, Blocks, Contact, Message, Messages, Sent, Told, Unblocked};
pub use transfer::{Fetched, Pong, Way};

use dos_protocol::{
    Allowance, Code, ImageId, ImageName, ImagePath, PeerId, PeerName, Reason, Revision, Timestamp, WireError,
    control::{self, SessionState},
    directory::{self, RequestState},
    model::{self, AccessState, Address, Format, GrantState, PreviewInfo},
};
use serde::{Serialize, Serializer};

use crate::{cursor::Token, error::Error};

/// The version of every document's shape.
const SCHEMA: u8 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    schema: u8,
    #[serde(flatten)]
    body: &'a T,
}

/// `body` as one line, with the schema's version first.
///
/// # Errors
/// `internal` if it has no form in JSON.
pub fn document<T: Serialize>(body: &T) -> Result<String, Error> {
    let mut text = serde_json::to_string(&Document { schema: SCHEMA, body })
        .map_err(|error| Error::new(Code::Internal, format!("cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}

/// A moment as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Of `register`.
#[derive(Debug, Serialize)]
pub struct Registered<'a> {
    /// The new ID.
    pub id: PeerId,
    /// The name.
    pub name: Option<&'a PeerName>,
    /// The join link, without an invite.
    pub server: String,
}

/// Of `login`, `logout` and `wait`.
#[derive(Debug, Serialize)]
pub struct Session {
    /// Which peer.
    pub id: PeerId,
    /// Where the session stands.
    pub state: SessionState,
    /// Updates replayed from while it was away; of `login` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<u64>,
}

/// Of `password`.
#[derive(Debug, Serialize)]
pub struct PasswordState {
    /// `set` or `removed`.
    pub password: &'static str,
}

/// Of `status`.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    profile: &'a str,
    state: SessionState,
    id: Option<PeerId>,
    name: Option<&'a PeerName>,
    server: Option<String>,
    listen: Address,
    address: Option<Address>,
    since: Moment,
    trouble: Option<&'a str>,
    pending: Pending,
    version: &'a str,
    state_dir: std::borrow::Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Pending {
    updates: u64,
    requests: u64,
    messages: u64,
}

impl<'a> From<&'a control::Status> for Status<'a> {
    fn from(status: &'a control::Status) -> Self {
        Self {
            profile: &status.profile,
            state: status.state,
            id: status.id,
            name: status.name.as_ref(),
            server: status.server.as_ref().map(link),
            listen: status.listen,
            address: status.address,
            since: Moment(status.since),
            trouble: status.trouble.as_deref(),
            pending: Pending {
                updates: status.updates,
                requests: status.requests,
                messages: status.messages,
            },
            version: &status.version,
            state_dir: status.state_dir.to_string_lossy(),
        }
    }
}

/// A join link without the invite, which is for new peers alone.
#[must_use]
pub fn link(link: &dos_protocol::JoinLink) -> String {
    dos_protocol::JoinLink { invite: None, ..link.clone() }.to_string()
}

/// IMAGE.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    owner: PeerId,
    name: &'a ImageName,
    image_id: ImageId,
    format: Format,
    width: u32,
    height: u32,
    bytes: u64,
    preview: PreviewInfo,
    access: Option<Access>,
}

#[derive(Debug, Serialize)]
struct Access {
    state: AccessState,
    views_left: Allowance,
    expires_at: Option<Moment>,
}

impl<'a> From<&'a model::ImageInfo> for Image<'a> {
    fn from(image: &'a model::ImageInfo) -> Self {
        let access = image.access.map(|access| Access {
            state: access.state,
            views_left: access.views_left,
            expires_at: access.expires_at.map(Moment),
        });
        Self {
            owner: image.owner,
            name: &image.name,
            image_id: image.original.image_id,
            format: image.original.format,
            width: image.original.width,
            height: image.original.height,
            bytes: image.original.bytes,
            preview: image.preview,
            access,
        }
    }
}

/// Of `add`.
#[derive(Debug, Serialize)]
pub struct Images<'a> {
    /// Those that were added.
    pub images: Vec<Image<'a>>,
}

/// A peer; with its images in a listing.
#[derive(Debug, Serialize)]
pub struct Peer<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
    online: bool,
    address: Option<Address>,
    last_seen: Option<Moment>,
    last_seen_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Vec<Image<'a>>>,
}

impl<'a> Peer<'a> {
    /// A peer alone, as `resolve` shows it.
    #[must_use]
    pub fn alone(peer: &'a model::PeerInfo) -> Self {
        Self {
            id: peer.id,
            name: peer.name.as_ref(),
            online: peer.online,
            address: peer.address,
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
pub struct Page<'a> {
    peers: Vec<Peer<'a>>,
    next: Option<Token>,
}

impl<'a> Page<'a> {
    /// A page that ends at `next`.
    #[must_use]
    pub fn new(peers: &'a [model::PeerInfo], next: Option<Token>) -> Self {
        Self { peers: peers.iter().map(Peer::listed).collect(), next }
    }
}

/// GRANT.
#[derive(Debug, Serialize)]
pub struct Grant<'a> {
    image: &'a ImagePath,
    viewer: PeerId,
    views_left: Allowance,
    views_used: u64,
    expires_at: Option<Moment>,
    state: GrantState,
    revision: Revision,
    owner_name: Option<&'a PeerName>,
    viewer_name: Option<&'a PeerName>,
}

impl<'a> Grant<'a> {
    /// A right as it stands `now`.
    #[must_use]
    pub fn new(grant: &'a model::Grant, now: Timestamp) -> Self {
        Self {
            image: &grant.path,
            viewer: grant.viewer,
            views_left: grant.views_left,
            views_used: grant.views_used,
            expires_at: grant.expires_at.map(Moment),
            state: grant.state_at(now),
            revision: grant.revision,
            owner_name: grant.owner_name.as_ref(),
            viewer_name: grant.viewer_name.as_ref(),
        }
    }
}

/// Of `shares`.
#[derive(Debug, Serialize)]
pub struct Shares<'a> {
    given: Vec<Grant<'a>>,
    received: Vec<Grant<'a>>,
}

impl<'a> Shares<'a> {
    /// Rights as they stand `now`.
    #[must_use]
    pub fn new(given: &'a [model::Grant], received: &'a [model::Grant], now: Timestamp) -> Self {
        let all = |grants: &'a [model::Grant]| grants.iter().map(|grant| Grant::new(grant, now)).collect();
        Self { given: all(given), received: all(received) }
    }
}

/// REQUEST.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    request: u64,
    image: &'a ImagePath,
    from: PeerId,
    views: u32,
    state: RequestState,
    note: Option<&'a str>,
    reason: Option<&'a str>,
    created_at: Moment,
    decided_at: Option<Moment>,
    owner_name: Option<&'a PeerName>,
    from_name: Option<&'a PeerName>,
}

impl<'a> From<&'a directory::Request> for Request<'a> {
    fn from(asked: &'a directory::Request) -> Self {
        Self {
            request: asked.request,
            image: &asked.path,
            from: asked.from,
            views: asked.views,
            state: asked.state,
            note: asked.note.as_deref(),
            reason: asked.reason.as_deref(),
            created_at: Moment(asked.created_at),
            decided_at: asked.decided_at.map(Moment),
            owner_name: asked.owner_name.as_ref(),
            from_name: asked.from_name.as_ref(),
        }
    }
}

/// Of `requests`.
#[derive(Debug, Serialize)]
pub struct Requests<'a> {
    incoming: Vec<Request<'a>>,
    outgoing: Vec<Request<'a>>,
    contacts: Vec<Contact<'a>>,
}

impl<'a> Requests<'a> {
    /// Those that came in, those that went out, and those of peers that want to send direct messages.
    #[must_use]
    pub fn new(
        incoming: &'a [directory::Request],
        outgoing: &'a [directory::Request],
        contacts: &'a [control::ContactRequest],
    ) -> Self {
        let all = |asked: &'a [directory::Request]| asked.iter().map(Request::from).collect();
        let contacts = contacts.iter().map(Contact::from).collect();
        Self { incoming: all(incoming), outgoing: all(outgoing), contacts }
    }
}

/// Of `remove`.
#[derive(Debug, Serialize)]
pub struct Removed<'a> {
    /// The image that is gone.
    pub image: &'a ImagePath,
}

/// How far a transfer is, with `--progress`.
#[derive(Debug, Serialize)]
pub struct Progress {
    /// The only key of such a line besides the schema's, by which it is told from the answer.
    pub progress: Transfer,
}

/// See [`Progress`].
#[derive(Debug, Serialize)]
pub struct Transfer {
    /// What goes on: `adding`, `fetching` or `opening`.
    pub step: &'static str,
    /// So many bytes are through.
    pub done: u64,
    /// Of so many; `null` if that is not known.
    pub total: Option<u64>,
    /// Bytes a second since the step began.
    pub rate: u64,
    /// Milliseconds to go at that rate; `null` if that is not known.
    pub left_ms: Option<u64>,
}

/// Of `preview`.
#[derive(Debug, Serialize)]
pub struct Preview<'a> {
    /// Of which image.
    pub image: &'a ImagePath,
    /// What the preview is: `format width height bytes`.
    #[serde(flatten)]
    pub info: PreviewInfo,
}

/// Of `view`.
#[derive(Debug, Serialize)]
pub struct Viewed<'a> {
    /// Which image.
    pub image: &'a ImagePath,
    /// The size of the original.
    pub bytes: u64,
    /// Views left.
    pub views_left: Allowance,
    /// The hash of the original.
    pub image_id: ImageId,
}

/// Of `checkout` and `checkin`.
#[derive(Debug, Serialize)]
pub struct Held<'a> {
    /// Of which image.
    pub image: &'a ImagePath,
    /// Views held here.
    pub held: u32,
    /// Views left at the directory.
    pub views_left: Allowance,
}

/// Of `instances`.
#[derive(Debug, Serialize)]
pub struct Instances<'a> {
    /// By profile.
    pub instances: &'a [Instance],
}

/// A peerd of this user.
#[derive(Debug, Serialize)]
pub struct Instance {
    /// Its profile.
    pub profile: String,
    /// Whether it answers.
    pub running: bool,
    /// Its session's state, if it does.
    pub state: Option<SessionState>,
    /// Its peer's ID.
    pub id: Option<PeerId>,
    /// Its peer's name.
    pub name: Option<PeerName>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: ErrorBody<'a>,
    schema: u8,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: Code,
    message: &'a str,
    cause: Option<&'a str>,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<ErrorBody<'a>>,
}

impl<'a> From<&'a WireError> for ErrorBody<'a> {
    fn from(error: &'a WireError) -> Self {
        Self {
            code: error.code,
            message: &error.message,
            cause: error.cause.as_deref(),
            hint: error.hint.as_deref(),
            reason: error.reason,
            retry_after_ms: error.retry_after_ms,
            others: Vec::new(),
        }
    }
}

/// A failure as one line: the first error, the others inside it.
#[must_use]
pub fn error(told: &[WireError]) -> String {
    let Some((first, others)) = told.split_first() else { return String::new() };
    let error = ErrorBody { others: others.iter().map(ErrorBody::from).collect(), ..first.into() };
    let text = serde_json::to_string(&Failure { error, schema: SCHEMA });
    text.map(|text| text + "\n").unwrap_or_default()
}
