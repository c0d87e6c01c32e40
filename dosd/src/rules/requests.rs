//! Requests: made by a viewer, answered by the owner, any of them in any order. At most one is pending per viewer and image.

use dos_protocol::{
    ImageNo, PeerId, Reason, Timestamp, WireError,
    directory::{Asserted, Decision, Request, RequestState, Update},
    limits::{REQUESTS_PENDING_MAX, TEXT_BYTES_MAX, VIEWS_MAX},
};

use super::{
    Decided, Owe,
    blocks::across::{self, Act, Between},
    grants::{self, GrantRecord, Scope},
    inbox::Cause,
    names::PeerRecord,
    quota::{Adding, Quotas, Waiting, check_room, check_rows},
    refusal::{conflict, denied, invalid, not_found},
};

/// The highest revision that is believed.
const REVISION_MAX: u64 = 1 << 48;

/// A request as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestRecord {
    pub(crate) request: u64,
    pub(crate) image: ImageNo,
    pub(crate) owner: PeerId,
    pub(crate) viewer: PeerId,
    pub(crate) views: u32,
    pub(crate) state: RequestState,
    pub(crate) note: Option<Box<str>>,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) created_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) revision: u64,
    /// Whether checkouts are asked for, too.
    pub(crate) offline: bool,
}

impl RequestRecord {
    /// The request as it travels.
    pub(crate) fn snapshot(&self, scope: &Scope) -> Request {
        Request {
            request: self.request,
            image: self.image,
            path: scope.image.path.clone(),
            owner_name: scope.owner_name.clone(),
            from: self.viewer,
            from_name: scope.viewer_name.clone(),
            views: self.views,
            state: self.state,
            note: self.note.clone(),
            reason: self.reason.clone(),
            created_at: self.created_at,
            decided_at: self.decided_at,
            revision: self.revision,
            offline: self.offline,
        }
    }

    fn ended(mut self, state: RequestState, now: Timestamp) -> Self {
        self.state = state;
        self.decided_at = Some(now);
        self.revision += 1;
        self
    }
}

/// What a viewer wants.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) views: u32,
    /// A word to the owner.
    pub(crate) note: Option<Box<str>>,
    /// Whether checkouts are asked for, too.
    pub(crate) offline: bool,
}

/// What a new or changed request is decided on.
#[derive(Debug)]
pub(crate) struct Requesting {
    pub(crate) viewer: PeerId,
    pub(crate) owner: PeerRecord,
    pub(crate) between: Between,
    /// What waits for the owner.
    pub(crate) waiting: Waiting,
    pub(crate) quotas: Quotas,
    /// Nothing if the owner has no image of this name; with it the refusal that names it.
    pub(crate) scope: Result<Scope, WireError>,
    /// The viewer's pending request for the image.
    pub(crate) pending: Option<RequestRecord>,
    /// The viewer's pending requests for all images of this owner.
    pub(crate) pending_count: u64,
    /// For a request that is new.
    pub(crate) fresh_number: u64,
}

/// Requests access to an image or more views; a pending request of the same viewer for it is changed instead.
pub(crate) fn request(
    state: Requesting,
    wanted: Wanted,
    now: Timestamp,
) -> Result<Decided<RequestRecord, Request>, WireError> {
    if state.owner.id == state.viewer {
        return Err(invalid("an owner's own views are free and need no request"));
    }
    if wanted.views == 0 || wanted.views > VIEWS_MAX {
        return Err(invalid(format!("a request is for 1 to {VIEWS_MAX} views")));
    }
    across::admit(Act::Ask, state.between, (state.owner.id, state.owner.name.as_ref()))?;
    let bytes = wanted.note.as_ref().map_or(0, |note| note.len());
    let adding = Adding::Letter(u64::try_from(bytes).unwrap_or(u64::MAX));
    check_room(state.waiting, adding, &state.quotas)?;
    if state.pending.is_none() {
        check_rows(state.waiting.row_bytes, &state.quotas)?;
    }
    let scope = state.scope?;
    let Wanted { views, note, offline } = wanted;
    let record = match state.pending {
        Some(old) => RequestRecord { views, note, offline, revision: old.revision + 1, ..old },
        None if state.pending_count >= REQUESTS_PENDING_MAX => {
            let why =
                format!("{REQUESTS_PENDING_MAX} requests of yours wait for this owner's answer already");
            return Err(denied(why, Reason::Limit));
        }
        None => RequestRecord {
            request: state.fresh_number,
            image: scope.image.no,
            owner: scope.owner(),
            viewer: scope.viewer,
            views,
            state: RequestState::Pending,
            note,
            reason: None,
            created_at: now,
            decided_at: None,
            revision: 1,
            offline,
        },
    };
    let answer = record.snapshot(&scope);
    let update = || Update::Request(Box::new(answer.clone()));
    let owed = vec![
        Owe::to(record.owner, update()).caused_by(record.viewer, Cause::Request),
        Owe::to(record.viewer, update()),
    ];
    Ok(Decided { state: record, answer, owed })
}

/// A request that is there, with its image; nothing if either is missing.
pub(crate) type Found = Option<(RequestRecord, Scope)>;

/// Withdraws one's own pending request; the state is what is to be saved, nothing if it was withdrawn before.
pub(crate) fn cancel(
    found: Found,
    viewer: PeerId,
    number: u64,
    now: Timestamp,
) -> Result<Decided<Option<RequestRecord>, Request>, WireError> {
    let (record, scope) =
        found.filter(|(record, _)| record.viewer == viewer).ok_or_else(|| no_request(number))?;
    match record.state {
        RequestState::Cancelled => {
            return Ok(Decided { state: None, answer: record.snapshot(&scope), owed: Vec::new() });
        }
        RequestState::Pending => {}
        RequestState::Approved | RequestState::Denied => return Err(answered(&record)),
    }
    let record = record.ended(RequestState::Cancelled, now);
    let answer = record.snapshot(&scope);
    let owed = owe_both(&answer, Update::Request);
    Ok(Decided { state: Some(record), answer, owed })
}

/// A request after its owner's answer, and the grant that comes of an approval.
pub(crate) type Settled = (RequestRecord, Option<GrantRecord>);

/// What an owner's answer is decided on.
#[derive(Debug)]
pub(crate) struct Deciding {
    pub(crate) found: Found,
    /// The viewer's grant for the image.
    pub(crate) grant: Option<GrantRecord>,
    pub(crate) between: Between,
}

/// The owner's answer to a pending request. An approval adds its views to the grant, or gives it.
pub(crate) fn decide(
    Deciding { found, grant, between }: Deciding,
    owner: PeerId,
    (number, decision): (u64, Decision),
    now: Timestamp,
) -> Result<Decided<Settled, Request>, WireError> {
    let (mut record, scope) =
        found.filter(|(record, _)| record.owner == owner).ok_or_else(|| no_request(number))?;
    if record.state != RequestState::Pending {
        return Err(answered(&record));
    }
    across::admit(Act::Answer, between, (scope.viewer, scope.viewer_name.as_ref()))?;
    let mut owed = Vec::new();
    let (state, grant) = match decision {
        Decision::Approve { views, key, allow_offline } => {
            record.views = views.unwrap_or(record.views);
            if record.views == 0 || record.views > VIEWS_MAX {
                return Err(invalid(format!("an approval is for 1 to {VIEWS_MAX} views")));
            }
            let grant = GrantRecord::with_more(grant, (record.views, allow_offline), &key, now)?;
            owed.extend(grants::owe_both(&grant.snapshot(&scope)));
            (RequestState::Approved, Some(grant))
        }
        Decision::Deny { reason } => {
            record.reason = reason;
            (RequestState::Denied, None)
        }
    };
    let record = record.ended(state, now);
    let answer = record.snapshot(&scope);
    owed.extend(owe_both(&answer, Update::Decision));
    Ok(Decided { state: (record, grant), answer, owed })
}

/// What an asserted request from an earlier incarnation is decided on.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The image and the viewer that it names; nothing if one of the two is not there.
    pub(crate) scope: Option<Scope>,
    /// The request of this number.
    pub(crate) known: Found,
    /// The viewer's pending request for the image.
    pub(crate) pending: Option<RequestRecord>,
    /// The viewer's last request for the image: its number and its state.
    pub(crate) newest: Option<(u64, RequestState)>,
    /// The viewer's pending requests for all images of this owner.
    pub(crate) pending_count: u64,
    pub(crate) between: Between,
    /// The last number that may have been given.
    pub(crate) last: u64,
}

/// A request that was asserted, as it is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) record: RequestRecord,
    /// The answered request that it takes the place of: more than one of a viewer and an image from before are of no use.
    pub(crate) replaces: Option<u64>,
}

/// Decides what `caller` asserts of a request. Nothing comes of a request by itself, so either side may say that it was answered;
/// only its viewer can bring a pending one back. Of answered ones the last is known, as it was.
pub(crate) fn assert(
    state: Remembered,
    caller: PeerId,
    told: &Request,
) -> Decided<Option<Restored>, Asserted> {
    let nothing = |answer| Decided { state: None, answer, owed: Vec::new() };
    let is_sound =
        told.views > 0 && told.views <= VIEWS_MAX && told.request > 0 && told.request <= state.last;
    let texts = [told.note.as_deref(), told.reason.as_deref()];
    if !is_sound || texts.into_iter().any(|text| check_text(text).is_err()) || told.revision > REVISION_MAX {
        return nothing(Asserted::Refused);
    }
    let Some(scope) = state.scope else { return nothing(Asserted::Missing) };
    if scope.owner() != told.path.owner || (caller != scope.owner() && caller != scope.viewer) {
        return nothing(Asserted::Refused);
    }
    let is_pending = told.state == RequestState::Pending;
    let mut replaces = None;
    let record = match state.known {
        Some((known, _)) if known.viewer != scope.viewer || known.image != scope.image.no => {
            return nothing(Asserted::Refused);
        }
        Some((known, _)) if known.state != RequestState::Pending || told.revision <= known.revision => {
            return nothing(Asserted::Confirmed);
        }
        Some((known, _)) => {
            // Each side's words are its own.
            let (note, reason) = if caller == scope.viewer {
                (told.note.clone(), known.reason)
            } else {
                (known.note, told.reason.clone())
            };
            let decided_at = if is_pending { None } else { told.decided_at };
            let (views, state, revision) = (told.views, told.state, told.revision);
            RequestRecord { views, state, note, reason, decided_at, revision, ..known }
        }
        None if !is_pending => match state.newest {
            Some((newest, of)) if newest > told.request || of == RequestState::Pending => {
                return nothing(Asserted::Confirmed);
            }
            newest => {
                replaces = newest.map(|(newest, _)| newest);
                lost(&scope, told)
            }
        },
        None if caller != scope.viewer => return nothing(Asserted::Missing),
        // A block may have been lifted, and the viewer withdrawn the other one, before the data was lost: neither is told yet.
        None if !state.between.is_open() || state.pending.is_some() => return nothing(Asserted::Missing),
        None if state.pending_count >= REQUESTS_PENDING_MAX => return nothing(Asserted::Refused),
        None => lost(&scope, told),
    };
    let update = match record.state {
        RequestState::Pending | RequestState::Cancelled => Update::Request,
        RequestState::Approved | RequestState::Denied => Update::Decision,
    };
    let owed = owe_both(&record.snapshot(&scope), update);
    Decided { state: Some(Restored { record, replaces }), answer: Asserted::Confirmed, owed }
}

/// A request that the directory has lost. The owner's words are not taken from anyone.
fn lost(scope: &Scope, told: &Request) -> RequestRecord {
    let is_pending = told.state == RequestState::Pending;
    RequestRecord {
        request: told.request,
        image: scope.image.no,
        owner: scope.owner(),
        viewer: scope.viewer,
        views: told.views,
        state: told.state,
        note: told.note.clone(),
        reason: None,
        created_at: told.created_at,
        decided_at: if is_pending { None } else { told.decided_at },
        revision: told.revision,
        offline: told.offline,
    }
}

/// The owner has blocked the viewer: its pending requests are denied.
pub(crate) fn deny_all(pending: Vec<(RequestRecord, Scope)>, now: Timestamp) -> Vec<Owe> {
    let denied =
        pending.into_iter().map(|(record, scope)| record.ended(RequestState::Denied, now).snapshot(&scope));
    denied.flat_map(|request| owe_both(&request, Update::Decision)).collect()
}

/// The viewer has blocked the owner: its pending requests are withdrawn.
pub(crate) fn cancel_all(pending: Vec<(RequestRecord, Scope)>, now: Timestamp) -> Vec<Owe> {
    let ended = pending
        .into_iter()
        .map(|(record, scope)| record.ended(RequestState::Cancelled, now).snapshot(&scope));
    ended.flat_map(|request| owe_both(&request, Update::Request)).collect()
}

/// The viewer is forgotten: the owners learn that its pending requests are withdrawn.
pub(crate) fn withdraw_all(pending: Vec<(RequestRecord, Scope)>, now: Timestamp) -> Vec<Owe> {
    pending
        .into_iter()
        .map(|(record, scope)| {
            let request = record.ended(RequestState::Cancelled, now).snapshot(&scope);
            Owe::to(scope.owner(), Update::Request(Box::new(request)))
        })
        .collect()
}

/// Requests whose viewers do not see their image any more, as they are then.
pub(crate) fn withdrawn(pending: Vec<(RequestRecord, Scope)>, now: Timestamp) -> Vec<Request> {
    let ended = pending.into_iter();
    ended.map(|(record, scope)| record.ended(RequestState::Cancelled, now).snapshot(&scope)).collect()
}

/// Owes a request as it is now to its owner and its viewer.
fn owe_both(request: &Request, update: fn(Box<Request>) -> Update) -> Vec<Owe> {
    let to = |peer| Owe::to(peer, update(Box::new(request.clone())));
    vec![to(request.path.owner), to(request.from)]
}

/// Refuses a note or a reason that is too long.
pub(crate) fn check_text(text: Option<&str>) -> Result<(), WireError> {
    if text.is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(invalid(format!("a text has at most {TEXT_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn no_request(number: u64) -> WireError {
    not_found(format!("there is no request {number} of yours"))
}

fn answered(record: &RequestRecord) -> WireError {
    conflict(format!("request {} is {} already", record.request, record.state.as_str()))
}

#[cfg(test)]
mod tests;
