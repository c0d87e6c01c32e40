//! Grants, with the image and the names that they travel with: one join each.

use std::collections::HashMap;

use dos_protocol::{
    ImageNo, ImagePath, PeerId,
    directory::{Share, ViewsChange},
    limits::PAGE_MAX,
    model::{Grant, SealedCopy},
};
use dos_sql::{self as sql, Connection, Optional as _, Row, ValueRef, params};

use super::{Change, Changed, Refusal, Store, blocks, hiding, images, inbox, peers, row, scope::claim, set};
use crate::rules::{
    Decided, Quotas,
    grants::{self, GrantRecord, ImageRef, Scope, Sharing},
    quota::{Adding, check_room},
    refusal::not_found,
};

/// The columns that [`scope`] reads, in its order; behind them come those of the grant or the request, from this one on.
pub(super) const BEHIND_SCOPE: usize = 9;

/// Grants `g` with their images `i`, owners `o` and viewers `v`.
const JOINED: &str = "
    SELECT i.no, i.owner, i.name, i.sealed_hash, i.sealed_bytes, o.name, g.viewer, v.name, i.private,
           g.split, g.share, g.views_left, g.views_used, g.expires_at, g.revision,
           g.share_check, g.allow_offline, g.returned, g.granted
    FROM grants g JOIN images i ON i.no = g.image JOIN peers o ON o.id = i.owner LEFT JOIN peers v ON v.id = g.viewer";

/// An image, a viewer, and the viewer's grant if there is one.
pub(super) const STANDING: &str = "
    SELECT i.no, i.owner, i.name, i.sealed_hash, i.sealed_bytes, o.name, v.id, v.name, i.private,
           g.split, g.share, g.views_left, g.views_used, g.expires_at, g.revision,
           g.share_check, g.allow_offline, g.returned, g.granted
    FROM images i JOIN peers o ON o.id = i.owner JOIN peers v ON v.id = ?2
         LEFT JOIN grants g ON g.image = i.no AND g.viewer = v.id
    WHERE i.no = ?1";

/// A page of the grants that a peer has given and received. A viewer does not see those that were revoked and are for private images,
/// as [`crate::rules::visibility`] has it.
const PAGE: &str = "
    SELECT i.no, i.owner, i.name, i.sealed_hash, i.sealed_bytes, o.name, g.viewer, v.name, i.private,
           g.split, g.share, g.views_left, g.views_used, g.expires_at, g.revision,
           g.share_check, g.allow_offline, g.returned, g.granted
    FROM (
        SELECT image, viewer, split, share, views_left, views_used, expires_at, revision,
               share_check, allow_offline, returned, granted
        FROM grants WHERE owner = ?1 AND (image, viewer) > (?2, ?3)
        UNION ALL
        SELECT image, viewer, split, share, views_left, views_used, expires_at, revision,
               share_check, allow_offline, returned, granted
        FROM grants WHERE viewer = ?1 AND (image, viewer) > (?2, ?3)
            AND (share IS NOT NULL OR NOT EXISTS (SELECT 1 FROM images h WHERE h.no = grants.image AND h.private = 1))
        ORDER BY image, viewer LIMIT ?4
    ) g JOIN images i ON i.no = g.image JOIN peers o ON o.id = i.owner LEFT JOIN peers v ON v.id = g.viewer
    ORDER BY i.no, g.viewer";

pub(super) fn scope(row: Row<'_>) -> sql::Result<Scope> {
    Ok(Scope {
        image: ImageRef {
            no: ImageNo(row::unsigned(row, 0)?),
            path: ImagePath { owner: row::peer(row, 1)?, name: row::image_name(row, 2)? },
            sealed: SealedCopy { hash: row::bytes::<32>(row, 3)?.into(), bytes: row::unsigned(row, 4)? },
            visibility: row::visibility(row, 8)?,
        },
        owner_name: row::peer_name(row, 5)?,
        viewer: row::peer(row, 6)?,
        viewer_name: row::peer_name(row, 7)?,
    })
}

/// The grant whose columns begin with this one.
pub(super) fn record(row: Row<'_>, first: usize) -> sql::Result<GrantRecord> {
    let share = row.get_ref(first + 1)?.as_blob_or_null()?;
    Ok(GrantRecord {
        split: row::bytes::<16>(row, first)?.into(),
        share: share.and_then(|share| share.try_into().ok()),
        views_left: row.get::<Option<u32>>(first + 2)?.into(),
        views_used: row::unsigned(row, first + 3)?,
        expires_at: row::time_or_none(row, first + 4)?,
        revision: row::unsigned(row, first + 5)?,
        check: row::bytes_or_none::<32>(row, first + 6)?.map(Into::into),
        allow_offline: row.get(first + 7)?,
        returned: row::unsigned(row, first + 8)?,
        granted: row.get::<Option<i64>>(first + 9)?.map(|granted| u64::try_from(granted).unwrap_or(0)),
    })
}

fn joined(row: Row<'_>) -> sql::Result<(Scope, GrantRecord)> {
    Ok((scope(row)?, record(row, BEHIND_SCOPE)?))
}

/// An image and a viewer, with the viewer's grant; nothing if one of the two is not there.
pub(super) fn standing(
    connection: &Connection,
    image: ImageNo,
    viewer: PeerId,
) -> sql::Result<Option<(Scope, Option<GrantRecord>)>> {
    let mut statement = connection.prepare(STANDING)?;
    let key = params![row::number(image.0), row::peer_number(viewer)];
    let standing = |row: Row<'_>| {
        let is_granted = row.get_ref(BEHIND_SCOPE)? != ValueRef::Null;
        let grant = is_granted.then(|| record(row, BEHIND_SCOPE)).transpose()?;
        Ok((scope(row)?, grant))
    };
    statement.query_row(key, standing).optional()
}

/// The grants of a viewer for these images, where there are any.
pub(super) fn of_images(
    connection: &Connection,
    viewer: PeerId,
    images: &[ImageNo],
) -> sql::Result<HashMap<ImageNo, GrantRecord>> {
    let numbers: Vec<i64> = images.iter().map(|image| row::number(image.0)).collect();
    let statement = |list: &str| {
        format!(
            "SELECT image, split, share, views_left, views_used, expires_at, revision,
                    share_check, allow_offline, returned, granted
             FROM grants WHERE viewer = ?1 AND image IN ({list})"
        )
    };
    let read = |row: Row<'_>| Ok((ImageNo(row::unsigned(row, 0)?), record(row, 1)?));
    Ok(set::query(connection, statement, (row::peer_number(viewer), &numbers), read)?.into_iter().collect())
}

/// Every grant, live or not, for an image.
pub(super) fn of_image(connection: &Connection, image: ImageNo) -> sql::Result<Vec<(Scope, GrantRecord)>> {
    let mut statement = connection.prepare(&format!("{JOINED} WHERE g.image = ?1 ORDER BY g.viewer"))?;
    statement.query_map([row::number(image.0)], joined)?.collect()
}

/// Every grant, live or not, of a viewer.
pub(super) fn of_viewer(connection: &Connection, viewer: PeerId) -> sql::Result<Vec<(Scope, GrantRecord)>> {
    let mut statement = connection.prepare(&format!("{JOINED} WHERE g.viewer = ?1 ORDER BY g.image"))?;
    statement.query_map([row::peer_number(viewer)], joined)?.collect()
}

/// Saves a grant, whose revision was raised by a rule.
pub(super) fn save(connection: &Connection, scope: &Scope, grant: &GrantRecord) -> sql::Result<()> {
    claim(connection, scope.owner())?;
    let mut statement = connection.prepare(
        "INSERT INTO grants(image, viewer, owner, split, share, views_left, views_used, expires_at, revision,
                            share_check, allow_offline, returned, granted)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT(image, viewer) DO UPDATE SET split = excluded.split, share = excluded.share,
             views_left = excluded.views_left, views_used = excluded.views_used,
             expires_at = excluded.expires_at, revision = excluded.revision, share_check = excluded.share_check,
             allow_offline = excluded.allow_offline, returned = excluded.returned, granted = excluded.granted",
    )?;
    statement
        .execute(params![
            row::number(scope.image.no.0),
            row::peer_number(scope.viewer),
            row::peer_number(scope.owner()),
            grant.split.as_bytes().as_slice(),
            grant.share.as_ref().map(<[u8; 32]>::as_slice),
            Option::<u32>::from(grant.views_left),
            row::number(grant.views_used),
            grant.expires_at.map(|at| at.0),
            row::number(grant.revision),
            grant.check.as_ref().map(|check| check.as_bytes().as_slice()),
            grant.allow_offline,
            row::number(grant.returned),
            grant.granted.map(row::number),
        ])
        .map(drop)
}

/// Saves what [`grants::touched`] makes of every grant for an image, in one statement, and owes it.
pub(super) fn touch_all(
    connection: &Connection,
    change: Change,
    image: ImageNo,
) -> Result<Vec<super::InboxRow>, Refusal> {
    let owed = grants::touched(of_image(connection, image)?);
    connection
        .prepare("UPDATE grants SET revision = revision + 1 WHERE image = ?1")?
        .execute([row::number(image.0)])?;
    inbox::owe_by(connection, change, owed)
}

/// Refuses to touch the grants for an image if that would owe one of their viewers more than is fair.
pub(super) fn check_touching(
    connection: &Connection,
    (owner, image): (PeerId, ImageNo),
    quotas: &Quotas,
) -> Result<(), Refusal> {
    let mut statement = connection.prepare("SELECT viewer FROM grants WHERE image = ?1")?;
    for viewer in statement.query_map([row::number(image.0)], |row| row::peer(row, 0))? {
        check_room(inbox::waiting(connection, viewer?, owner)?, Adding::Change, quotas)?;
    }
    Ok(())
}

impl Store {
    /// Gives, changes or revokes a grant.
    ///
    /// # Errors
    /// `not_found` if there is no such image of the owner, no such viewer, or no grant to change; `invalid` if the
    /// change makes no sense; `denied` if too much waits for the viewer.
    pub async fn share(&self, change: Change, share: Share) -> Result<Grant, Refusal> {
        let room = self.room();
        let scope = self.scope_with(change.peer, &share.viewer).await?;
        self.change_once_in(scope, change, move |connection| {
            if share.views != ViewsChange::Revoke {
                room.admit(connection)?;
            }
            let image = images::own(connection, change.peer, share.image)?;
            let viewer = peers::find(connection, &share.viewer)?;
            let waiting = inbox::waiting(connection, viewer.id, change.peer)?;
            let standing = standing(connection, image.no, viewer.id)?;
            let (scope, old) = standing.ok_or_else(|| not_found("you have no such image"))?;
            let between = blocks::between(connection, change.peer, viewer.id)?;
            let state = Sharing { scope: scope.clone(), old, between, waiting, quotas: room.quotas };
            let Decided { state, answer, owed } = grants::share(state, &share, change.now)?;
            save(connection, &scope, &state)?;
            let mut rows = inbox::owe_by(connection, change, owed)?;
            rows.extend(hiding::hide_from_viewer(connection, change, (&scope, &state))?);
            Ok(Changed::owing(answer, rows))
        })
        .await
    }

    /// The grants that a peer has given and received, after this one, in the order of their images and viewers; and
    /// whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn grants(
        &self,
        peer: PeerId,
        after: Option<(ImageNo, PeerId)>,
    ) -> Result<(Vec<Grant>, bool), Refusal> {
        self.read(move |connection| {
            let (image, viewer) =
                after.map_or((0, -1), |(image, viewer)| (row::number(image.0), row::peer_number(viewer)));
            let mut statement = connection.prepare(PAGE)?;
            let key = params![row::peer_number(peer), image, viewer, PAGE_MAX + 1];
            let snapshot = |row: Row<'_>| joined(row).map(|(scope, grant)| grant.snapshot(&scope));
            let mut grants = statement.query_map(key, snapshot)?.collect::<Result<Vec<_>, _>>()?;
            let more = row::cut(&mut grants, PAGE_MAX);
            Ok((grants, more))
        })
        .await
    }

    /// A grant as it is now, for its owner or its viewer.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn grant(&self, caller: PeerId, image: ImageNo, viewer: PeerId) -> Result<Grant, Refusal> {
        self.read_brief(move |connection| {
            let standing = standing(connection, image, viewer)?;
            let (scope, grant) = standing.ok_or_else(grants::missing)?;
            Ok(grants::show(caller, &scope, grant.as_ref())?)
        })
        .await
    }
}
