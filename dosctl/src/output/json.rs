//! The JSON documents. Scripts rely on every key: keys are only ever added.
//!
//! Times are RFC 3339 in UTC, a number of views is an integer or `null` for unlimited, peers are IDs.

mod access;
mod album;
mod contacts;
mod event;
mod image;
mod invites;
mod message;
mod reach;
mod transfer;

pub(crate) use access::{Answered, Grant, Request, Requests, Shared, Shares};
pub(crate) use album::{Album, Albums, Rules};
pub(crate) use contacts::{Card, Contacts, Groups, KnownContact};
pub(crate) use event::{Event, News, Skipped, SkippedEvent};
pub(crate) use image::{
    Held, Image, Images, Page, Peer, Preview, Removed, RemovedAll, Set, Total, Viewed, ViewedAll, ViewedTo,
    Warning,
};
pub(crate) use invites::{Invitation, Invite, Invites};
pub(crate) use message::{Blocked, Blocks, Contact, Message, Messages, Sent, Told, Unblocked};
pub(crate) use reach::{Explained, Netcheck};
pub(crate) use transfer::{Fetched, FetchedAll, Pong, Progress, Transfer};

use dos_protocol::{
    Code, PeerId, PeerName, Reason, Timestamp, WireError,
    control::{self, SessionState},
    model::Address,
    text::safe_json,
};
use serde::{Serialize, Serializer};

use crate::error::Error;

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
pub(crate) fn document<T: Serialize>(body: &T) -> Result<String, Error> {
    let mut text = serde_json::to_string(&Document { schema: SCHEMA, body })
        .map_err(|error| Error::new(Code::Internal, format!("cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(safe_json(&text).into_owned())
}

/// A moment as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Of `register`.
#[derive(Debug, Serialize)]
pub(crate) struct Registered<'a> {
    pub(crate) id: PeerId,
    pub(crate) name: Option<&'a PeerName>,
    /// The join link, without an invite.
    pub(crate) server: String,
    /// The invitation that was used, if it was one.
    pub(crate) joined: Option<Invite<'a>>,
}

/// Of `up`.
#[derive(Debug, Serialize)]
pub(crate) struct Up<'a> {
    pub(crate) id: PeerId,
    pub(crate) name: Option<&'a PeerName>,
    pub(crate) state: SessionState,
    /// The join link, without an invite.
    pub(crate) server: String,
    /// Whether it has signed up just now.
    pub(crate) registered: bool,
    /// How peerd came to run: `running`, `unit` or `background`.
    pub(crate) started: &'static str,
    /// The invitation that was used, if it was one.
    pub(crate) joined: Option<Invite<'a>>,
}

/// Of `login`, `logout` and `wait`.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    pub(crate) id: PeerId,
    /// Where the session stands.
    pub(crate) state: SessionState,
    /// Updates replayed from while it was away; of `login` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replayed: Option<u64>,
}

/// Of `name`.
#[derive(Debug, Serialize)]
pub(crate) struct Named<'a> {
    pub(crate) id: PeerId,
    /// The name now.
    pub(crate) name: &'a PeerName,
    /// The name before.
    pub(crate) was: Option<&'a PeerName>,
}

/// Of `gallery`.
#[derive(Debug, Serialize)]
pub(crate) struct Gallery<'a> {
    /// Where it is served; nothing if that is behind a proxy.
    pub(crate) address: Option<Address>,
    /// What lets one browser in, if it was not opened.
    pub(crate) url: Option<&'a str>,
}

/// Of `unregister`.
#[derive(Debug, Serialize)]
pub(crate) struct Unregistered<'a> {
    pub(crate) id: PeerId,
    /// The name that it had.
    pub(crate) name: Option<&'a PeerName>,
    /// A state directory of its own.
    pub(crate) kept: &'a str,
}

/// Of `password`.
#[derive(Debug, Serialize)]
pub(crate) struct PasswordState {
    /// `set` or `removed`.
    pub(crate) password: &'static str,
}

/// Of `status`.
#[derive(Debug, Serialize)]
pub(crate) struct Status<'a> {
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
    /// Whether the password has to be set once more.
    password_again: bool,
    notes: Vec<Note<'a>>,
}

/// What a user should know even if no one watched when it happened.
#[derive(Debug, Serialize)]
struct Note<'a> {
    at: Moment,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Pending {
    updates: u64,
    requests: u64,
    messages: u64,
    unknown_updates: u64,
    key_changes: u64,
    refused_messages: u64,
    offers: u64,
    news: u64,
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
                unknown_updates: status.unknown_updates,
                key_changes: status.key_changes,
                refused_messages: status.refused_messages,
                offers: status.offers,
                news: status.news,
            },
            version: &status.version,
            state_dir: status.state_dir.to_string_lossy(),
            password_again: status.password_again,
            notes: status.notes.iter().map(|note| Note { at: Moment(note.at), text: &note.text }).collect(),
        }
    }
}

/// A join link without the invite, which is for new peers alone.
#[must_use]
pub(crate) fn link(link: &dos_protocol::JoinLink) -> String {
    link.clone().bare().to_string()
}

/// Of `instances`.
#[derive(Debug, Serialize)]
pub(crate) struct Instances<'a> {
    pub(crate) instances: &'a [Instance],
}

/// A peerd of this user.
#[derive(Debug, Serialize)]
pub(crate) struct Instance {
    pub(crate) profile: String,
    /// Whether it answers.
    pub(crate) running: bool,
    /// Its session's state, if it does.
    pub(crate) state: Option<SessionState>,
    pub(crate) id: Option<PeerId>,
    pub(crate) name: Option<PeerName>,
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
pub(crate) fn error(told: &[WireError]) -> String {
    let Some((first, others)) = told.split_first() else { return String::new() };
    let error = ErrorBody { others: others.iter().map(ErrorBody::from).collect(), ..first.into() };
    let text = serde_json::to_string(&Failure { error, schema: SCHEMA });
    text.map(|text| safe_json(&text).into_owned() + "\n").unwrap_or_default()
}
