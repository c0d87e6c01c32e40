//! Requests: a viewer asks, the owner answers any of them in any order. At most one is pending per viewer and image.

use dos_protocol::{
    ImageName, ImageNo, ImagePath, PeerId, Reason, Timestamp,
    directory::{Decision, KeyShare, Request, RequestState, Update},
    limits::{PAGE_MAX, REQUESTS_PENDING_MAX, VIEWS_MAX},
    model::{AccessState, Grant, ImageInfo},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Changed, Owed, Refusal, Store, blocks, grants, images, inbox, next_number, peers, row};

/// What a viewer asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many views.
    pub views: u32,
    /// A word to the owner.
    pub note: Option<Box<str>>,
    /// When.
    pub now: Timestamp,
}

struct Record {
    request: u64,
    image: ImageNo,
    owner: PeerId,
    viewer: PeerId,
    views: u32,
    state: RequestState,
    note: Option<Box<str>>,
    reason: Option<Box<str>>,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
    revision: u64,
}

const COLUMNS: &str =
    "request, image, owner, viewer, views, state, note, reason, created_at, decided_at, revision";

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

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        request: row::unsigned(row, 0)?,
        image: ImageNo(row::unsigned(row, 1)?),
        owner: row::peer(row, 2)?,
        viewer: row::peer(row, 3)?,
        views: row::small(row, 4)?,
        state: row::one_of(row, 5, state)?,
        note: row::text(row, 6)?,
        reason: row::text(row, 7)?,
        created_at: row::time(row, 8)?,
        decided_at: row::time_or_none(row, 9)?,
        revision: row::unsigned(row, 10)?,
    })
}

fn find(connection: &Connection, request: u64) -> rusqlite::Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS} FROM requests WHERE request = ?1");
    connection.prepare_cached(&sql)?.query_row([row::number(request)], record).optional()
}

fn find_pending(
    connection: &Connection,
    image: &ImageInfo,
    viewer: PeerId,
) -> rusqlite::Result<Option<Record>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM requests WHERE viewer = ?1 AND owner = ?2 AND image = ?3 AND state = 0"
    );
    let key = params![row::peer_number(viewer), row::peer_number(image.owner), row::number(image.no.0)];
    connection.prepare_cached(&sql)?.query_row(key, record).optional()
}

/// What the last request of a viewer for an image has come to, where that says something about its access.
pub(super) fn last_state(
    connection: &Connection,
    image: ImageNo,
    viewer: PeerId,
) -> rusqlite::Result<Option<AccessState>> {
    let mut statement = connection.prepare_cached(
        "SELECT state FROM requests WHERE image = ?1 AND viewer = ?2 ORDER BY request DESC LIMIT 1",
    )?;
    let last = statement
        .query_row(params![row::number(image.0), row::peer_number(viewer)], |row| row::one_of(row, 0, state))
        .optional()?;
    Ok(match last {
        Some(RequestState::Pending) => Some(AccessState::Requested),
        Some(RequestState::Denied) => Some(AccessState::Denied),
        Some(RequestState::Approved | RequestState::Cancelled) | None => None,
    })
}

/// Ends every pending request for an image that goes away, and tells whose they were.
pub(super) fn close_for_image(
    connection: &Connection,
    image: ImageNo,
    now: Timestamp,
) -> rusqlite::Result<Vec<PeerId>> {
    let mut statement = connection.prepare_cached(
        "UPDATE requests SET state = 3, decided_at = ?2, revision = revision + 1
         WHERE image = ?1 AND state = 0 RETURNING viewer",
    )?;
    statement.query_map(params![row::number(image.0), now.0], |row| row::peer(row, 0))?.collect()
}

/// Withdraws every pending request of a peer that goes away, and owes that to the owners.
pub(super) fn withdraw_all(
    connection: &Connection,
    viewer: PeerId,
    now: Timestamp,
) -> Result<Vec<Owed>, Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM requests WHERE viewer = ?1 AND state = 0");
    let mut statement = connection.prepare_cached(&sql)?;
    let pending: Vec<Record> =
        statement.query_map([row::peer_number(viewer)], record)?.collect::<Result<_, _>>()?;
    let mut owed = Vec::new();
    for mut record in pending {
        let Some(image) = images::by_no(connection, record.image)? else { continue };
        record.state = RequestState::Cancelled;
        record.decided_at = Some(now);
        record.revision += 1;
        let asked = Box::new(snapshot(connection, &record, image.name)?);
        owed.push(inbox::owe(connection, record.owner, now, Update::Request(asked))?);
    }
    Ok(owed)
}

fn snapshot(connection: &Connection, record: &Record, name: ImageName) -> rusqlite::Result<Request> {
    Ok(Request {
        request: record.request,
        image: record.image,
        path: ImagePath { owner: record.owner, name },
        owner_name: peers::name_of(connection, record.owner)?,
        from: record.viewer,
        from_name: peers::name_of(connection, record.viewer)?,
        views: record.views,
        state: record.state,
        note: record.note.clone(),
        reason: record.reason.clone(),
        created_at: record.created_at,
        decided_at: record.decided_at,
        revision: record.revision,
    })
}

fn save(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let sql =
        format!("INSERT OR REPLACE INTO requests({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)");
    connection
        .prepare_cached(&sql)?
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
        ])
        .map(drop)
}

/// Owes a request as it is now to its owner and its asker.
fn owe_both(
    connection: &Connection,
    asked: &Request,
    now: Timestamp,
    update: fn(Box<Request>) -> Update,
) -> Result<Vec<Owed>, Refusal> {
    [asked.path.owner, asked.from]
        .into_iter()
        .map(|peer| inbox::owe(connection, peer, now, update(Box::new(asked.clone()))))
        .collect()
}

impl Store {
    /// Asks for access to an image or for more views; a pending request of the same viewer for it is changed instead.
    ///
    /// # Errors
    /// `not_found`, `invalid` for one's own image or an impossible number, `denied` with too many pending requests, and by
    /// an owner that takes nothing from this viewer.
    pub async fn ask(
        &self,
        viewer: PeerId,
        owner: PeerId,
        name: ImageName,
        wish: Wish,
    ) -> Result<Request, Refusal> {
        let quotas = self.quotas();
        self.change(move |connection| {
            let Wish { views, note, now } = wish;
            if owner == viewer {
                return Err(Refusal::invalid("an owner's own views are free and need no request"));
            }
            if views == 0 || views > VIEWS_MAX {
                return Err(Refusal::invalid(format!("a request is for 1 to {VIEWS_MAX} views")));
            }
            if let Some(owner) = peers::by_id(connection, owner)? {
                blocks::check(connection, &owner, viewer)?;
                inbox::check_room(connection, owner.id, viewer, quotas)?;
            }
            let image =
                images::by_name(connection, owner, &name)?.ok_or_else(|| images::no_image(owner, &name))?;
            let record = match find_pending(connection, &image, viewer)? {
                Some(old) => Record { views, note, revision: old.revision + 1, ..old },
                None => fresh(connection, &image, viewer, Wish { views, note, now })?,
            };
            save(connection, &record)?;
            let asked = snapshot(connection, &record, image.name)?;
            let to_owner = Update::Request(Box::new(asked.clone()));
            let cause = (viewer, inbox::Cause::Request);
            let owed = vec![
                inbox::owe_because(connection, owner, now, to_owner, cause)?,
                inbox::owe(connection, viewer, now, Update::Request(Box::new(asked.clone())))?,
            ];
            Ok(Changed { value: asked, owed })
        })
        .await
    }

    /// The pending requests that a peer has made and received, after this one, in the order of their numbers; and whether
    /// there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn asks(&self, peer: PeerId, after: Option<u64>) -> Result<(Vec<Request>, bool), Refusal> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM requests WHERE state = 0 AND owner = ?1 AND request > ?2 UNION ALL
                 SELECT {COLUMNS} FROM requests WHERE state = 0 AND viewer = ?1 AND request > ?2
                 ORDER BY request LIMIT ?3"
            );
            let key = params![row::peer_number(peer), row::number(after.unwrap_or(0)), PAGE_MAX + 1];
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = statement.query_map(key, record)?.collect::<Result<Vec<_>, _>>()?;
            let more = row::cut(&mut found, PAGE_MAX);
            let mut asks = Vec::with_capacity(found.len());
            for record in found {
                // A request whose image is gone is not pending.
                if let Some(image) = images::by_no(connection, record.image)? {
                    asks.push(snapshot(connection, &record, image.name)?);
                }
            }
            Ok((asks, more))
        })
        .await
    }

    /// Withdraws one's own pending request. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found`, or `conflict` if it has been answered.
    pub async fn cancel(&self, viewer: PeerId, request: u64, now: Timestamp) -> Result<Request, Refusal> {
        self.change(move |connection| {
            let record = find(connection, request)?.filter(|record| record.viewer == viewer);
            let mut record = record.ok_or_else(|| no_request(request))?;
            let image = images::by_no(connection, record.image)?.ok_or_else(|| no_request(request))?;
            match record.state {
                RequestState::Cancelled => return Ok(snapshot(connection, &record, image.name)?.into()),
                RequestState::Pending => {}
                RequestState::Approved | RequestState::Denied => return Err(answered(&record)),
            }
            decide(&mut record, RequestState::Cancelled, now);
            save(connection, &record)?;
            let asked = snapshot(connection, &record, image.name)?;
            let owed = owe_both(connection, &asked, now, Update::Request)?;
            Ok(Changed { value: asked, owed })
        })
        .await
    }

    /// The owner's answer to a pending request. An approval adds its views to the right, or gives it.
    ///
    /// # Errors
    /// `not_found`, or `conflict` if it is not pending.
    pub async fn decide(
        &self,
        owner: PeerId,
        request: u64,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Request, Refusal> {
        self.change(move |connection| {
            let record = find(connection, request)?.filter(|record| record.owner == owner);
            let mut record = record.ok_or_else(|| no_request(request))?;
            let image = images::by_no(connection, record.image)?.ok_or_else(|| no_request(request))?;
            if record.state != RequestState::Pending {
                return Err(answered(&record));
            }
            let mut owed = Vec::new();
            match decision {
                Decision::Approve { views, key } => {
                    record.views = views.unwrap_or(record.views);
                    decide(&mut record, RequestState::Approved, now);
                    let grant = approve(connection, &image, &record, &key, now)?;
                    owed.extend(grants::owe_both(connection, &grant, now)?);
                }
                Decision::Deny { reason } => {
                    record.reason = reason;
                    decide(&mut record, RequestState::Denied, now);
                }
            }
            save(connection, &record)?;
            let asked = snapshot(connection, &record, image.name)?;
            owed.extend(owe_both(connection, &asked, now, Update::Decision)?);
            Ok(Changed { value: asked, owed })
        })
        .await
    }
}

/// Refuses every pending request of `viewer` for images of `owner`, and tells how many those were.
pub(super) fn refuse_all(
    connection: &Connection,
    owner: PeerId,
    viewer: PeerId,
    now: Timestamp,
) -> Result<(u64, Vec<Owed>), Refusal> {
    let sql = format!("SELECT {COLUMNS} FROM requests WHERE viewer = ?1 AND owner = ?2 AND state = 0");
    let key = params![row::peer_number(viewer), row::peer_number(owner)];
    let pending: Vec<Record> =
        connection.prepare_cached(&sql)?.query_map(key, record)?.collect::<Result<_, _>>()?;
    let (mut refused, mut owed) = (0, Vec::new());
    for mut record in pending {
        // The requests for an image end with it.
        let Some(image) = images::by_no(connection, record.image)? else { continue };
        decide(&mut record, RequestState::Denied, now);
        save(connection, &record)?;
        let asked = snapshot(connection, &record, image.name)?;
        owed.extend(owe_both(connection, &asked, now, Update::Decision)?);
        refused += 1;
    }
    Ok((refused, owed))
}

fn decide(record: &mut Record, state: RequestState, now: Timestamp) {
    record.state = state;
    record.decided_at = Some(now);
    record.revision += 1;
}

fn no_request(request: u64) -> Refusal {
    Refusal::not_found(format!("there is no request {request} of yours"))
}

fn answered(record: &Record) -> Refusal {
    Refusal::conflict(format!("request {} is {} already", record.request, record.state.as_str()))
}

fn fresh(
    connection: &Connection,
    image: &ImageInfo,
    viewer: PeerId,
    Wish { views, note, now }: Wish,
) -> Result<Record, Refusal> {
    let mut statement = connection
        .prepare_cached("SELECT count(*) FROM requests WHERE viewer = ?1 AND owner = ?2 AND state = 0")?;
    let key = params![row::peer_number(viewer), row::peer_number(image.owner)];
    if statement.query_row(key, |row| row::unsigned(row, 0))? >= REQUESTS_PENDING_MAX {
        let why = format!("{REQUESTS_PENDING_MAX} requests of yours wait for this owner's answer already");
        return Err(Refusal::denied(why, Reason::Limit));
    }
    Ok(Record {
        request: next_number(connection, "request")?,
        image: image.no,
        owner: image.owner,
        viewer,
        views,
        state: RequestState::Pending,
        note,
        reason: None,
        created_at: now,
        decided_at: None,
        revision: 1,
    })
}

fn approve(
    connection: &Connection,
    image: &ImageInfo,
    record: &Record,
    key: &KeyShare,
    now: Timestamp,
) -> Result<Grant, Refusal> {
    if record.views == 0 || record.views > VIEWS_MAX {
        return Err(Refusal::invalid(format!("an approval is for 1 to {VIEWS_MAX} views")));
    }
    let mut right = match grants::find(connection, image.no, record.viewer)? {
        Some(right) if right.share.is_some() => right,
        old => grants::renewed(old, Some(key))?,
    };
    right.views_left = grants::bounded(grants::added(right.views_left, record.views))?;
    // Views given on a right whose time is over are meant to be used.
    right.expires_at = right.expires_at.filter(|end| *end > now);
    right.revision += 1;
    grants::save(connection, image, record.viewer, &right)?;
    Ok(grants::snapshot(connection, image, record.viewer, &right)?)
}
