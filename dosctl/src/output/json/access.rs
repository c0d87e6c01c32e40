//! Grants and requests.

use dos_protocol::{
    Allowance, ImagePath, PeerId, PeerName, Revision, Timestamp, control,
    directory::{self, RequestState},
    model::{self, GrantState},
};
use serde::Serialize;

use super::{Contact, Moment};

/// GRANT.
#[derive(Debug, Serialize)]
pub(crate) struct Grant<'a> {
    image: &'a ImagePath,
    viewer: PeerId,
    views_left: Allowance,
    views_used: u64,
    expires_at: Option<Moment>,
    state: GrantState,
    revision: Revision,
    owner_name: Option<&'a PeerName>,
    viewer_name: Option<&'a PeerName>,
    returned: u64,
    allow_offline: bool,
    offer: bool,
}

impl<'a> Grant<'a> {
    /// A grant as it stands `now`.
    #[must_use]
    pub(crate) fn new(grant: &'a model::Grant, now: Timestamp) -> Self {
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
            returned: grant.returned,
            allow_offline: grant.allow_offline,
            offer: grant.offer,
        }
    }
}

/// Of `share`, of many.
#[derive(Debug, Serialize)]
pub(crate) struct Shared<'a> {
    grants: Vec<Grant<'a>>,
    /// How many grants could not be changed.
    failed: usize,
}

impl<'a> Shared<'a> {
    /// Grants, each as it stands at its moment.
    #[must_use]
    pub(crate) fn new(grants: &'a [model::Grant], nows: &[Timestamp], failed: usize) -> Self {
        let grants = grants.iter().zip(nows).map(|(grant, now)| Grant::new(grant, *now)).collect();
        Self { grants, failed }
    }
}

/// Of `approve` and `deny`, of many.
#[derive(Debug, Serialize)]
pub(crate) struct Answered<'a> {
    requests: Vec<Request<'a>>,
    contacts: Vec<Contact<'a>>,
    /// How many could not be answered.
    failed: usize,
}

impl<'a> Answered<'a> {
    /// What came of those that were answered.
    #[must_use]
    pub(crate) fn new(outcomes: &'a [control::Outcome], failed: usize) -> Self {
        let (mut requests, mut contacts) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            match outcome {
                control::Outcome::Request { request, .. } => requests.push(Request::from(&**request)),
                control::Outcome::Contact(contact) => contacts.push(Contact::from(&**contact)),
                _ => {}
            }
        }
        Self { requests, contacts, failed }
    }
}

/// Of `shares`.
#[derive(Debug, Serialize)]
pub(crate) struct Shares<'a> {
    given: Vec<Grant<'a>>,
    received: Vec<Grant<'a>>,
}

impl<'a> Shares<'a> {
    /// Grants as they stand `now`.
    #[must_use]
    pub(crate) fn new(given: &'a [model::Grant], received: &'a [model::Grant], now: Timestamp) -> Self {
        let all = |grants: &'a [model::Grant]| grants.iter().map(|grant| Grant::new(grant, now)).collect();
        Self { given: all(given), received: all(received) }
    }
}

/// REQUEST.
#[derive(Debug, Serialize)]
pub(crate) struct Request<'a> {
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
    allow_offline: bool,
}

impl<'a> From<&'a directory::Request> for Request<'a> {
    fn from(request: &'a directory::Request) -> Self {
        Self {
            request: request.request,
            image: &request.path,
            from: request.from,
            views: request.views,
            state: request.state,
            note: request.note.as_deref(),
            reason: request.reason.as_deref(),
            created_at: Moment(request.created_at),
            decided_at: request.decided_at.map(Moment),
            owner_name: request.owner_name.as_ref(),
            from_name: request.from_name.as_ref(),
            allow_offline: request.offline,
        }
    }
}

/// Of `requests`.
#[derive(Debug, Serialize)]
pub(crate) struct Requests<'a> {
    incoming: Vec<Request<'a>>,
    outgoing: Vec<Request<'a>>,
    contacts: Vec<Contact<'a>>,
}

impl<'a> Requests<'a> {
    /// Those that came in, those that went out, and those of peers that want to send direct messages.
    #[must_use]
    pub(crate) fn new(
        incoming: &'a [directory::Request],
        outgoing: &'a [directory::Request],
        contacts: &'a [control::ContactRequest],
    ) -> Self {
        let all = |requests: &'a [directory::Request]| requests.iter().map(Request::from).collect();
        let contacts = contacts.iter().map(Contact::from).collect();
        Self { incoming: all(incoming), outgoing: all(outgoing), contacts }
    }
}
