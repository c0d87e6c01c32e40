//! Requests, with the image and the names that they travel with: one join each.

use std::collections::HashMap;

use dos_protocol::{
    ImageNo, PeerId, Timestamp,
    directory::{Asserted, Decision, Request, RequestAccess, RequestState},
    limits::PAGE_MAX,
};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{
    Change, Changed, InboxRow, Refusal, Store, blocks,
    grants::{self, BEHIND_SCOPE, scope},
    healing, hiding, inbox, next_number, peers, row,
    scope::claim,
    set,
};
use crate::rules::{
    Decided,
    blocks::across::Between,
    grants::Scope,
    publish::no_image,
    requests::{self, Deciding, Found, RequestRecord, Requesting, Wanted},
    visibility,
};

/// Requests `r` with their images `i`, owners `o` and viewers `v`.
const JOINED: &str = "
    SELECT i.no, i.owner, i.name, i.sealed_hash, i.sealed_bytes, o.name, r.viewer, v.name, i.private,
           r.request, r.views, r.state, r.note, r.reason, r.created_at, r.decided_at, r.revision, r.offline
    FROM requests r JOIN images i ON i.no = r.image JOIN peers o ON o.id = r.owner LEFT JOIN peers v ON v.id = r.viewer";

/// A page of the pending requests that a peer has made and received.
const PAGE: &str = "
    SELECT i.no, i.owner, i.name, i.sealed_hash, i.sealed_bytes, o.name, r.viewer, v.name, i.private,
           r.request, r.views, r.state, r.note, r.reason, r.created_at, r.decided_at, r.revision, r.offline
    FROM (
        SELECT * FROM requests WHERE state = 0 AND owner = ?1 AND request > ?2
        UNION ALL
        SELECT * FROM requests WHERE state = 0 AND viewer = ?1 AND request > ?2
        ORDER BY request LIMIT ?3
    ) r JOIN images i ON i.no = r.image JOIN peers o ON o.id = r.owner LEFT JOIN peers v ON v.id = r.viewer
    ORDER BY r.request";

fn state_number(state: RequestState) -> i64 {
    match state {
        RequestState::Pending => 0,
        RequestState::Approved => 1,
        RequestState::Denied => 2,
        RequestState::Cancelled => 3,
    }
}

fn state(number: i64) -> Option<RequestState> {
    [RequestState::Pending, RequestState::Approved, RequestState::Denied, RequestState::Cancelled]
        .into_iter()
        .find(|state| state_number(*state) == number)
}

fn joined(row: Row<'_>) -> sql::Result<(RequestRecord, Scope)> {
    let scope = scope(row)?;
    let record = RequestRecord {
        request: row::unsigned(row, BEHIND_SCOPE)?,
        image: scope.image.no,
        owner: scope.owner(),
        viewer: scope.viewer,
        views: row::small(row, BEHIND_SCOPE + 1)?,
        state: row::one_of(row, BEHIND_SCOPE + 2, state)?,
        note: row::text(row, BEHIND_SCOPE + 3)?,
        reason: row::text(row, BEHIND_SCOPE + 4)?,
        created_at: row::time(row, BEHIND_SCOPE + 5)?,
        decided_at: row::time_or_none(row, BEHIND_SCOPE + 6)?,
        revision: row::unsigned(row, BEHIND_SCOPE + 7)?,
        offline: row.get(BEHIND_SCOPE + 8)?,
    };
    Ok((record, scope))
}

fn find(connection: &Connection, request: u64) -> sql::Result<Found> {
    let mut statement = connection.prepare(&format!("{JOINED} WHERE r.request = ?1"))?;
    statement.query_row([row::number(request)], joined).optional()
}

fn find_pending(
    connection: &Connection,
    image: ImageNo,
    (owner, viewer): (PeerId, PeerId),
) -> sql::Result<Option<RequestRecord>> {
    let sql = format!("{JOINED} WHERE r.viewer = ?1 AND r.owner = ?2 AND r.image = ?3 AND r.state = 0");
    let key = params![row::peer_number(viewer), row::peer_number(owner), row::number(image.0)];
    let found = connection.prepare(&sql)?.query_row(key, joined).optional()?;
    Ok(found.map(|(record, _)| record))
}

fn count_pending(connection: &Connection, owner: PeerId, viewer: PeerId) -> sql::Result<u64> {
    let mut statement =
        connection.prepare("SELECT count(*) FROM requests WHERE viewer = ?1 AND owner = ?2 AND state = 0")?;
    let key = params![row::peer_number(viewer), row::peer_number(owner)];
    statement.query_row(key, |row| row::unsigned(row, 0))
}

/// The state of the last request of a viewer for each of these images, where there is one.
pub(super) fn last_states(
    connection: &Connection,
    viewer: PeerId,
    images: &[ImageNo],
) -> sql::Result<HashMap<ImageNo, RequestState>> {
    let numbers: Vec<i64> = images.iter().map(|image| row::number(image.0)).collect();
    let statement = |list: &str| {
        format!(
            "SELECT image, state FROM requests WHERE viewer = ?1 AND image IN ({list}) ORDER BY image, request"
        )
    };
    let read = |row: Row<'_>| Ok((ImageNo(row::unsigned(row, 0)?), row::one_of(row, 1, state)?));
    // Of several for one image the last one stays.
    Ok(set::query(connection, statement, (row::peer_number(viewer), &numbers), read)?.into_iter().collect())
}

/// Ends every pending request for an image that goes away; the viewers are in `images::concerned`.
pub(super) fn close_for_image(connection: &Connection, image: ImageNo, now: Timestamp) -> sql::Result<()> {
    let mut statement = connection.prepare(
        "UPDATE requests SET state = 3, decided_at = ?2, revision = revision + 1 WHERE image = ?1 AND state = 0",
    )?;
    statement.execute(params![row::number(image.0), now.0]).map(drop)
}

/// Ends the pending requests for an image whose viewers do not see it, and tells what they were.
pub(super) fn end_unseen(
    connection: &Connection,
    image: ImageNo,
    now: Timestamp,
) -> sql::Result<Vec<Request>> {
    let unseen = "state = 0 AND image = ?1 AND NOT EXISTS (
        SELECT 1 FROM grants g WHERE g.image = requests.image AND g.viewer = requests.viewer AND g.share IS NOT NULL)";
    let sql = format!(
        "{JOINED} WHERE r.request IN (SELECT request FROM requests WHERE {unseen}) ORDER BY r.request"
    );
    let key = [row::number(image.0)];
    let pending = connection.prepare(&sql)?.query_map(key, joined)?.collect::<Result<Vec<_>, _>>()?;
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let sql =
        format!("UPDATE requests SET state = 3, decided_at = ?2, revision = revision + 1 WHERE {unseen}");
    connection.prepare(&sql)?.execute(params![row::number(image.0), now.0])?;
    Ok(requests::withdrawn(pending, now))
}

/// Owes to the owners that the requests of a peer that goes away are withdrawn.
pub(super) fn withdraw_all(
    connection: &Connection,
    viewer: PeerId,
    now: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    let sql = format!("{JOINED} WHERE r.viewer = ?1 AND r.state = 0 ORDER BY r.request");
    let mut statement = connection.prepare(&sql)?;
    let pending = statement.query_map([row::peer_number(viewer)], joined)?.collect::<Result<_, _>>()?;
    inbox::owe(connection, requests::withdraw_all(pending, now), now)
}

/// Saves what [`requests::deny_all`] makes of every pending request of `viewer` for images of `owner`, owes it, and tells how
/// many those were.
pub(super) fn deny_all(
    connection: &Connection,
    (owner, viewer): (PeerId, PeerId),
    now: Timestamp,
) -> Result<(u64, Vec<InboxRow>), Refusal> {
    let pending = end_pending(connection, (owner, viewer), (RequestState::Denied, now))?;
    let count = u64::try_from(pending.len()).unwrap_or(u64::MAX);
    Ok((count, inbox::owe(connection, requests::deny_all(pending, now), now)?))
}

/// Saves what [`requests::cancel_all`] makes of every pending request of `viewer` for images of `owner`, and owes it.
pub(super) fn cancel_all(
    connection: &Connection,
    (owner, viewer): (PeerId, PeerId),
    now: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    let pending = end_pending(connection, (owner, viewer), (RequestState::Cancelled, now))?;
    inbox::owe(connection, requests::cancel_all(pending, now), now)
}

/// Ends every pending request of a viewer for images of an owner, in one statement, and tells what they were.
fn end_pending(
    connection: &Connection,
    (owner, viewer): (PeerId, PeerId),
    (state, now): (RequestState, Timestamp),
) -> sql::Result<Vec<(RequestRecord, Scope)>> {
    let sql = format!("{JOINED} WHERE r.viewer = ?1 AND r.owner = ?2 AND r.state = 0 ORDER BY r.request");
    let key = params![row::peer_number(viewer), row::peer_number(owner)];
    let pending = connection.prepare(&sql)?.query_map(key, joined)?.collect::<Result<_, _>>()?;
    connection
        .prepare(
            "UPDATE requests SET state = ?4, decided_at = ?3, revision = revision + 1
             WHERE viewer = ?1 AND owner = ?2 AND state = 0",
        )?
        .execute(params![row::peer_number(viewer), row::peer_number(owner), now.0, state_number(state)])?;
    Ok(pending)
}

/// The last request of a viewer for an image: its number and its state.
fn newest(
    connection: &Connection,
    image: ImageNo,
    (owner, viewer): (PeerId, PeerId),
) -> sql::Result<Option<(u64, RequestState)>> {
    let sql = "SELECT request, state FROM requests WHERE viewer = ?1 AND owner = ?2 AND image = ?3
               ORDER BY request DESC LIMIT 1";
    let key = params![row::peer_number(viewer), row::peer_number(owner), row::number(image.0)];
    let newest = |row: Row<'_>| Ok((row::unsigned(row, 0)?, row::one_of(row, 1, state)?));
    connection.prepare(sql)?.query_row(key, newest).optional()
}

/// Takes a request that a peer asserts from an earlier incarnation.
pub(super) fn assert(
    connection: &Connection,
    change: Change,
    told: Request,
) -> Result<(Asserted, Vec<InboxRow>), Refusal> {
    let (owner, viewer) = (told.path.owner, told.from);
    let standing = grants::standing(connection, told.image, viewer)?;
    let standing = visibility::standing(standing, change.peer);
    let state = requests::Remembered {
        scope: standing.map(|(scope, _)| scope),
        known: find(connection, told.request)?,
        pending: find_pending(connection, told.image, (owner, viewer))?,
        newest: newest(connection, told.image, (owner, viewer))?,
        pending_count: count_pending(connection, owner, viewer)?,
        between: blocks::between(connection, change.peer, if change.peer == owner { viewer } else { owner })?,
        last: healing::last(connection, "request")?,
    };
    let decided = requests::assert(state, change.peer, &told);
    if let Some(requests::Restored { record, replaces }) = &decided.state {
        if let Some(replaced) = replaces {
            let sql = "DELETE FROM requests WHERE request = ?1";
            connection.prepare(sql)?.execute([row::number(*replaced)])?;
        }
        save(connection, record)?;
    }
    Ok((decided.answer, inbox::owe_by(connection, change, decided.owed)?))
}

fn save(connection: &Connection, record: &RequestRecord) -> sql::Result<()> {
    claim(connection, record.owner)?;
    claim(connection, record.viewer)?;
    let mut statement = connection.prepare(
        "INSERT INTO requests(request, image, owner, viewer, views, state, note, reason, created_at, decided_at, revision,
                              offline)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT(request) DO UPDATE SET views = excluded.views, state = excluded.state, note = excluded.note,
             reason = excluded.reason, decided_at = excluded.decided_at, revision = excluded.revision,
             offline = excluded.offline",
    )?;
    statement
        .execute(params![
            row::number(record.request),
            row::number(record.image.0),
            row::peer_number(record.owner),
            row::peer_number(record.viewer),
            record.views,
            state_number(record.state),
            record.note,
            record.reason,
            record.created_at.0,
            record.decided_at.map(|at| at.0),
            row::number(record.revision),
            record.offline,
        ])
        .map(drop)
}

impl Store {
    /// Requests access to an image or more views; a pending request of the same viewer for it is changed instead.
    ///
    /// # Errors
    /// `not_found`, `invalid` for one's own image or an impossible number, `denied` with too many pending requests, and by
    /// an owner that takes nothing from this viewer.
    pub async fn request(&self, change: Change, access: RequestAccess) -> Result<Request, Refusal> {
        let room = self.room();
        let scope = match &access.image.owner {
            Some(owner) => self.scope_with(change.peer, owner).await?,
            None => sql::Scope::Whole,
        };
        self.change_once_in(scope, change, move |connection| {
            room.admit(connection)?;
            let viewer = change.peer;
            let owner = peers::owner_of(connection, &access.image, viewer)?;
            let (image, standing) = hiding::seen(connection, (owner.id, &access.image.name), viewer)?;
            let pending = match &image {
                Some(image) => find_pending(connection, image.no, (owner.id, viewer))?,
                None => None,
            };
            // A number that a refusal leaves unused is given again: the whole operation is undone.
            let fresh_number = if pending.is_none() { next_number(connection, "request")? } else { 0 };
            let state = Requesting {
                viewer,
                between: blocks::between(connection, viewer, owner.id)?,
                waiting: inbox::waiting(connection, owner.id, viewer)?,
                quotas: room.quotas,
                scope: standing.map(|(scope, _)| scope).ok_or_else(|| no_image(owner.id, &access.image.name)),
                pending,
                pending_count: count_pending(connection, owner.id, viewer)?,
                fresh_number,
                owner,
            };
            let wanted = Wanted { views: access.views, note: access.note, offline: access.offline };
            let Decided { state, answer, owed } = requests::request(state, wanted, change.now)?;
            save(connection, &state)?;
            Ok(Changed::owing(answer, inbox::owe_by(connection, change, owed)?))
        })
        .await
    }

    /// The pending requests that a peer has made and received, after this one, in the order of their numbers; and whether
    /// there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn requests(&self, peer: PeerId, after: Option<u64>) -> Result<(Vec<Request>, bool), Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare(PAGE)?;
            let key = params![row::peer_number(peer), row::number(after.unwrap_or(0)), PAGE_MAX + 1];
            let snapshot = |row: Row<'_>| joined(row).map(|(record, scope)| record.snapshot(&scope));
            let mut page = statement.query_map(key, snapshot)?.collect::<Result<Vec<_>, _>>()?;
            let more = row::cut(&mut page, PAGE_MAX);
            Ok((page, more))
        })
        .await
    }

    /// Withdraws one's own pending request. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found`, or `conflict` if it has been answered.
    pub async fn cancel(&self, change: Change, request: u64) -> Result<Request, Refusal> {
        let scope = self.scope_of_request(request).await?;
        self.change_once_in(scope, change, move |connection| {
            let found = hiding::request(connection, find(connection, request)?, change.peer)?;
            let Decided { state, answer, owed } = requests::cancel(found, change.peer, request, change.now)?;
            if let Some(record) = state {
                save(connection, &record)?;
            }
            Ok(Changed::owing(answer, inbox::owe_by(connection, change, owed)?))
        })
        .await
    }

    /// The owner's answer to a pending request. An approval adds its views to the grant, or gives it.
    ///
    /// # Errors
    /// `not_found`, or `conflict` if it is not pending.
    pub async fn decide(&self, change: Change, request: u64, decision: Decision) -> Result<Request, Refusal> {
        let scope = self.scope_of_request(request).await?;
        self.change_once_in(scope, change, move |connection| {
            let found = find(connection, request)?;
            let scope = found.as_ref().map(|(_, scope)| scope.clone());
            let standing = match &scope {
                Some(scope) => grants::standing(connection, scope.image.no, scope.viewer)?,
                None => None,
            };
            let grant = standing.and_then(|(_, grant)| grant);
            let between = match &scope {
                Some(scope) => blocks::between(connection, change.peer, scope.viewer)?,
                None => Between::default(),
            };
            let state = Deciding { found, grant, between };
            let decided = requests::decide(state, change.peer, (request, decision), change.now)?;
            let (record, grant) = decided.state;
            save(connection, &record)?;
            if let (Some(scope), Some(grant)) = (scope, grant) {
                grants::save(connection, &scope, &grant)?;
            }
            Ok(Changed::owing(decided.answer, inbox::owe_by(connection, change, decided.owed)?))
        })
        .await
    }
}
