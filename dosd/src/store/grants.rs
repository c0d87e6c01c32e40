//! Rights: given, changed, taken back by the owner alone. Spending is in `views`.

use dos_protocol::{
    Allowance, ImageNo, ImagePath, PeerId, Revision, SplitId, Timestamp,
    directory::{ExpiryChange, KeyShare, Share, Update, ViewsChange},
    limits::{PAGE_MAX, VIEWS_MAX},
    model::{Access, AccessState, Grant, GrantState, ImageInfo},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Changed, Owed, Refusal, Store, images, inbox, peers, requests, row};

/// A row of `grants`.
#[derive(Debug, Clone)]
pub(super) struct Right {
    pub(super) split: SplitId,
    /// The directory's share; gone when the right is revoked.
    pub(super) share: Option<[u8; 32]>,
    pub(super) views_left: Allowance,
    pub(super) views_used: u64,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) revision: u64,
}

impl Right {
    pub(super) fn state_at(&self, now: Timestamp) -> GrantState {
        if self.share.is_none() {
            GrantState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            GrantState::Expired
        } else if self.views_left == Allowance::Views(0) {
            GrantState::UsedUp
        } else {
            GrantState::Active
        }
    }
}

fn right(row: &Row<'_>) -> rusqlite::Result<Right> {
    let share: Option<Vec<u8>> = row.get(1)?;
    Ok(Right {
        split: row::bytes::<16>(row, 0)?.into(),
        share: share.and_then(|share| share.try_into().ok()),
        views_left: row.get::<_, Option<u32>>(2)?.into(),
        views_used: row::unsigned(row, 3)?,
        expires_at: row::time_or_none(row, 4)?,
        revision: row::unsigned(row, 5)?,
    })
}

pub(super) fn find(
    connection: &Connection,
    image: ImageNo,
    viewer: PeerId,
) -> rusqlite::Result<Option<Right>> {
    let mut statement = connection.prepare_cached(
        "SELECT split, share, views_left, views_used, expires_at, revision FROM grants WHERE image = ?1 AND viewer = ?2",
    )?;
    statement.query_row(params![row::number(image.0), row::peer_number(viewer)], right).optional()
}

/// Writes the right, whose revision must have been raised.
pub(super) fn save(
    connection: &Connection,
    image: &ImageInfo,
    viewer: PeerId,
    right: &Right,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO grants(image, viewer, owner, split, share, views_left, views_used, expires_at, revision)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT(image, viewer) DO UPDATE SET split = excluded.split, share = excluded.share,
             views_left = excluded.views_left, views_used = excluded.views_used,
             expires_at = excluded.expires_at, revision = excluded.revision",
    )?;
    statement
        .execute(params![
            row::number(image.no.0),
            row::peer_number(viewer),
            row::peer_number(image.owner),
            right.split.as_bytes().as_slice(),
            right.share.as_ref().map(<[u8; 32]>::as_slice),
            Option::<u32>::from(right.views_left),
            row::number(right.views_used),
            right.expires_at.map(|at| at.0),
            row::number(right.revision),
        ])
        .map(drop)
}

/// The right as it travels.
pub(super) fn snapshot(
    connection: &Connection,
    image: &ImageInfo,
    viewer: PeerId,
    right: &Right,
) -> rusqlite::Result<Grant> {
    Ok(Grant {
        image: image.no,
        path: ImagePath { owner: image.owner, name: image.name.clone() },
        owner_name: peers::name_of(connection, image.owner)?,
        viewer,
        viewer_name: peers::name_of(connection, viewer)?,
        views_left: right.views_left,
        views_used: right.views_used,
        expires_at: right.expires_at,
        revoked: right.share.is_none(),
        revision: Revision(right.revision),
        split: right.split,
        sealed: image.sealed,
    })
}

/// Everybody who has, or had, a right to an image.
pub(super) fn holders(connection: &Connection, image: ImageNo) -> rusqlite::Result<Vec<PeerId>> {
    let mut statement = connection.prepare_cached("SELECT viewer FROM grants WHERE image = ?1")?;
    statement.query_map([row::number(image.0)], |row| row::peer(row, 0))?.collect()
}

/// Raises the revision of every live right to a changed image and owes it to its holder and the owner.
pub(super) fn touch_all(
    connection: &Connection,
    image: &ImageInfo,
    now: Timestamp,
) -> Result<Vec<Owed>, Refusal> {
    let mut owed = Vec::new();
    for viewer in holders(connection, image.no)? {
        let Some(mut right) = find(connection, image.no, viewer)? else { continue };
        right.revision += 1;
        save(connection, image, viewer, &right)?;
        let grant = snapshot(connection, image, viewer, &right)?;
        owed.extend(owe_both(connection, &grant, now)?);
    }
    Ok(owed)
}

/// Owes the right as it is now to its viewer, then to its owner, who may have asked for the change and not have heard
/// the answer.
pub(super) fn owe_both(connection: &Connection, grant: &Grant, now: Timestamp) -> Result<[Owed; 2], Refusal> {
    let update = || Update::Grant(Box::new(grant.clone()));
    Ok([
        inbox::owe(connection, grant.viewer, now, update())?,
        inbox::owe(connection, grant.path.owner, now, update())?,
    ])
}

/// What a peer may do with somebody else's image.
pub(super) fn access(
    connection: &Connection,
    viewer: PeerId,
    image: ImageNo,
    now: Timestamp,
) -> Result<Access, Refusal> {
    let right = find(connection, image, viewer)?;
    let asked = requests::last_state(connection, image, viewer)?;
    Ok(access_of(right.as_ref(), asked, now))
}

pub(super) fn access_of(right: Option<&Right>, asked: Option<AccessState>, now: Timestamp) -> Access {
    let none = Access {
        state: asked.unwrap_or(AccessState::None),
        views_left: Allowance::Views(0),
        expires_at: None,
    };
    let Some(right) = right else { return none };
    let state = match (right.state_at(now), asked) {
        (GrantState::Active, _) => AccessState::Granted,
        (_, Some(AccessState::Requested)) => AccessState::Requested,
        (GrantState::UsedUp, _) => AccessState::UsedUp,
        (GrantState::Expired, _) => AccessState::Expired,
        (GrantState::Revoked, _) => AccessState::Revoked,
    };
    let views_left = if right.share.is_some() { right.views_left } else { Allowance::Views(0) };
    Access { state, views_left, expires_at: right.expires_at }
}

impl Store {
    /// Gives, changes or takes back a right.
    ///
    /// # Errors
    /// `not_found` if there is no such image of the owner, no such viewer, or no right to change; `invalid` if the
    /// change makes no sense.
    pub async fn share(&self, owner: PeerId, share: Share, now: Timestamp) -> Result<Grant, Refusal> {
        let quotas = self.quotas();
        self.change(move |connection| {
            let image = images::own(connection, owner, share.image)?;
            let viewer = peers::find(connection, &share.viewer)?;
            // A right can always be taken back.
            if share.views != ViewsChange::Revoke {
                inbox::check_room(connection, viewer.id, owner, quotas)?;
            }
            if viewer.id == owner {
                return Err(Refusal::invalid("an owner's own views are free and need no right"));
            }
            let old = find(connection, image.no, viewer.id)?;
            let Some(right) = changed(old, &share, now)? else {
                return Err(Refusal::not_found(format!("{} has no right to {}", share.viewer, image.name)));
            };
            save(connection, &image, viewer.id, &right)?;
            let grant = snapshot(connection, &image, viewer.id, &right)?;
            let owed = owe_both(connection, &grant, now)?.into();
            Ok(Changed { value: grant, owed })
        })
        .await
    }

    /// The rights that a peer has given and received, after this one, in the order of their images and viewers; and
    /// whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn rights(
        &self,
        peer: PeerId,
        after: Option<(ImageNo, PeerId)>,
    ) -> Result<(Vec<Grant>, bool), Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT image, viewer FROM grants WHERE owner = ?1 AND (image, viewer) > (?2, ?3) UNION ALL
                 SELECT image, viewer FROM grants WHERE viewer = ?1 AND (image, viewer) > (?2, ?3)
                 ORDER BY image, viewer LIMIT ?4",
            )?;
            let (image, viewer) =
                after.map_or((0, -1), |(image, viewer)| (row::number(image.0), row::peer_number(viewer)));
            let rows = statement
                .query_map(params![row::peer_number(peer), image, viewer, PAGE_MAX + 1], |row| {
                    Ok((ImageNo(row::unsigned(row, 0)?), row::peer(row, 1)?))
                })?;
            let mut found = rows.collect::<Result<Vec<_>, _>>()?;
            let more = row::cut(&mut found, PAGE_MAX);
            let mut rights = Vec::with_capacity(found.len());
            for (image, viewer) in found {
                if let (Some(image), Some(right)) =
                    (images::by_no(connection, image)?, find(connection, image, viewer)?)
                {
                    rights.push(snapshot(connection, &image, viewer, &right)?);
                }
            }
            Ok((rights, more))
        })
        .await
    }

    /// A right as it is now, for its owner or its viewer.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn right(&self, asker: PeerId, image: ImageNo, viewer: PeerId) -> Result<Grant, Refusal> {
        self.read_brief(move |connection| {
            let missing = || Refusal::not_found("there is no such right");
            let image = images::by_no(connection, image)?.ok_or_else(missing)?;
            if asker != image.owner && asker != viewer {
                return Err(missing());
            }
            let right = find(connection, image.no, viewer)?.ok_or_else(missing)?;
            Ok(snapshot(connection, &image, viewer, &right)?)
        })
        .await
    }
}

/// The right after an owner's change; `None` if there is nothing to change.
fn changed(old: Option<Right>, share: &Share, now: Timestamp) -> Result<Option<Right>, Refusal> {
    let live = old.as_ref().is_some_and(|right| right.share.is_some());
    let mut right = match (share.views, old) {
        (ViewsChange::Revoke, Some(mut right)) => {
            right.share = None;
            right.views_left = Allowance::Views(0);
            right.revision += 1;
            return Ok(Some(right));
        }
        (ViewsChange::Keep, Some(right)) if live => right,
        (ViewsChange::Rekey, Some(right)) if live => rekeyed(right, share.key.as_ref())?,
        (ViewsChange::Revoke | ViewsChange::Keep | ViewsChange::Rekey, _) => return Ok(None),
        (ViewsChange::Set(_) | ViewsChange::Add(_), Some(right)) if live => right,
        (ViewsChange::Set(_) | ViewsChange::Add(_), old) => renewed(old, share.key.as_ref())?,
    };
    match share.views {
        ViewsChange::Set(views) => right.views_left = bounded(views)?,
        ViewsChange::Add(more) => right.views_left = bounded(added(right.views_left, more))?,
        ViewsChange::Keep | ViewsChange::Revoke | ViewsChange::Rekey => {}
    }
    match share.expiry {
        ExpiryChange::At(at) if at <= now => return Err(Refusal::invalid("a right cannot end in the past")),
        ExpiryChange::At(at) => right.expires_at = Some(at),
        // Views given on a right whose time is over are meant to be used.
        ExpiryChange::Keep if matches!(share.views, ViewsChange::Set(_) | ViewsChange::Add(_)) => {
            right.expires_at = right.expires_at.filter(|end| *end > now);
        }
        ExpiryChange::Keep => {}
    }
    right.revision += 1;
    Ok(Some(right))
}

/// A live right under another content key: everything but the key stays.
fn rekeyed(right: Right, key: Option<&KeyShare>) -> Result<Right, Refusal> {
    let key = key.ok_or_else(|| Refusal::invalid("a right under another key needs a key share"))?;
    Ok(Right { split: key.split, share: Some(key.share), ..right })
}

/// A right given for the first time, or anew after it was taken back: with a fresh splitting of the key.
pub(super) fn renewed(old: Option<Right>, key: Option<&KeyShare>) -> Result<Right, Refusal> {
    let key = key.ok_or_else(|| Refusal::invalid("a new right needs a key share"))?;
    Ok(Right {
        split: key.split,
        share: Some(key.share),
        views_left: Allowance::Views(0),
        views_used: old.as_ref().map_or(0, |right| right.views_used),
        expires_at: None,
        revision: old.as_ref().map_or(0, |right| right.revision),
    })
}

/// More views on top of what is left.
pub(super) fn added(left: Allowance, more: u32) -> Allowance {
    match left {
        Allowance::Unlimited => Allowance::Unlimited,
        Allowance::Views(views) => Allowance::Views(views.saturating_add(more)),
    }
}

pub(super) fn bounded(views: Allowance) -> Result<Allowance, Refusal> {
    match views {
        Allowance::Views(views) if views > VIEWS_MAX => {
            Err(Refusal::invalid(format!("a right has at most {VIEWS_MAX} views, or is unlimited")))
        }
        views => Ok(views),
    }
}
