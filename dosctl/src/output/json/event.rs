//! The lines of `watch`: what happened, when, and the event's own keys beside them.

use dos_protocol::{
    ImageName, ImagePath, PeerId, PeerName,
    control::{self, EventKind, ImageChange, SessionState},
    directory::{NoticeKind, ViewedKind},
    model::{Address, SessionEnd},
};
use serde::Serialize;

use super::{Contact, Grant, Invite, KnownContact, Message, Moment, Request};

/// A line of `watch`.
#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    event: &'static str,
    at: Moment,
    #[serde(flatten)]
    body: EventBody<'a>,
    /// Of `news`: whether it was shown before.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<bool>,
}

/// Of `news`.
#[derive(Debug, Serialize)]
pub(crate) struct News<'a> {
    news: Vec<Event<'a>>,
}

impl<'a> From<&'a [control::Event]> for News<'a> {
    fn from(news: &'a [control::Event]) -> Self {
        Self { news: news.iter().map(Event::from).collect() }
    }
}

/// An event that was skipped, on standard error.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped<'a> {
    /// The only key besides the schema's, which tells such a line from an error.
    pub(crate) skipped: SkippedEvent<'a>,
}

/// See [`Skipped`].
#[derive(Debug, Serialize)]
pub(crate) struct SkippedEvent<'a> {
    /// Its kind.
    pub(crate) event: &'a str,
    /// What helps.
    pub(crate) hint: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EventBody<'a> {
    Grant(Grant<'a>),
    Viewed {
        views: u32,
        kind: ViewedKind,
        #[serde(flatten)]
        grant: Grant<'a>,
    },
    Image {
        image: &'a ImagePath,
        change: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<&'a ImageName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner_name: Option<&'a PeerName>,
    },
    Peer {
        id: PeerId,
        change: &'static str,
        name: Option<&'a PeerName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<&'a PeerName>,
    },
    Request(Request<'a>),
    Notice {
        kind: NoticeKind,
        text: &'a str,
    },
    Presence {
        id: PeerId,
        name: Option<&'a PeerName>,
        online: bool,
        address: Option<Address>,
        last_seen_reason: Option<&'static str>,
    },
    Message(Message<'a>),
    Contact(Contact<'a>),
    KeyChange(KnownContact<'a>),
    Invite(Invite<'a>),
    Session {
        kind: &'static str,
        state: SessionState,
        text: String,
    },
}

impl Event<'_> {
    /// What it is, as in the document.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        self.event
    }
}

fn of_image<'a>(
    (image, change): (&'a ImagePath, &'static str),
    was: Option<&'a ImageName>,
    owner_name: Option<&'a PeerName>,
) -> EventBody<'a> {
    EventBody::Image { image, change, was, owner_name }
}

impl<'a> From<&'a control::Event> for Event<'a> {
    fn from(event: &'a control::Event) -> Self {
        let (name, body) = match &event.what {
            EventKind::Grant(grant) => ("grant", EventBody::Grant(Grant::new(grant, event.at))),
            EventKind::Viewed { views, kind, grant } => {
                let grant = Grant::new(grant, event.at);
                ("viewed", EventBody::Viewed { views: *views, kind: *kind, grant })
            }
            EventKind::Removed(image) => ("image", of_image((image, "removed"), None, None)),
            EventKind::Renamed { path, was, owner_name } => {
                ("image", of_image((path, "renamed"), Some(was), owner_name.as_ref()))
            }
            EventKind::Fetched(image) => ("image", of_image((image, "fetched"), None, None)),
            EventKind::Image(image) => {
                let ImageChange { path, owner_name, change, was } = &**image;
                ("image", of_image((path, change.as_str()), was.as_ref(), owner_name.as_ref()))
            }
            EventKind::Named { id, name, was } => {
                let (name, was) = (Some(name), was.as_ref());
                ("peer", EventBody::Peer { id: *id, change: "renamed", name, was })
            }
            EventKind::Left { id, name } => {
                ("peer", EventBody::Peer { id: *id, change: "left", name: name.as_ref(), was: None })
            }
            EventKind::Request(request) => ("request", EventBody::Request(request.as_ref().into())),
            EventKind::Decision(request) => ("decision", EventBody::Request(request.as_ref().into())),
            EventKind::Presence(now) => {
                let body = EventBody::Presence {
                    id: now.id,
                    name: now.name.as_ref(),
                    online: now.online,
                    address: now.address,
                    last_seen_reason: now.end.map(SessionEnd::as_str),
                };
                ("presence", body)
            }
            EventKind::Message(message) => ("message", EventBody::Message(message.as_ref().into())),
            EventKind::Contact(contact) => ("request", EventBody::Contact(contact.as_ref().into())),
            EventKind::KeyChange(contact) => ("key_change", EventBody::KeyChange(contact.as_ref().into())),
            EventKind::Invite(invite) => ("invite", EventBody::Invite(invite.as_ref().into())),
            EventKind::Notice(notice) => {
                ("notice", EventBody::Notice { kind: notice.kind, text: &notice.text })
            }
            EventKind::Session(state) => {
                let text = format!("the session is {}", state.as_str());
                ("notice", EventBody::Session { kind: "session", state: *state, text })
            }
        };
        Self { event: name, at: Moment(event.at), body, seen: event.seen }
    }
}
