//! What blocks keep back: of which grants the other side was not told a change, and which images it was not told are gone.
//!
//! What always holds: a grant stands here at most once for each side, however often it has changed, and what is owed when the block
//! is lifted is its state by then. Only grants that were there before the block get here, so they bound it.

use dos_protocol::{ImageName, ImageNo, ImagePath, PeerId, Timestamp, directory::Update};
use dos_sql::{self as sql, Connection, ValueRef, params};

use super::{InboxRow, Refusal, grants, inbox, row};
use crate::rules::{Owe, visibility};

/// Notes what an update for `peer`, which `other` has caused, is about.
pub(super) fn note(
    connection: &Connection,
    (peer, other): (PeerId, PeerId),
    update: &Update,
) -> sql::Result<()> {
    let (image, viewer, removed) = match update {
        Update::Grant(grant) => (grant.image, grant.viewer, None),
        Update::Viewed(viewed) => (viewed.grant.image, viewed.grant.viewer, None),
        Update::Removed { image, path } => (*image, peer, Some(&path.name)),
        _ => return Ok(()),
    };
    connection
        .prepare(
            "INSERT INTO withheld(peer, other, image, viewer, removed) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(peer, other, image, viewer) DO UPDATE SET removed = excluded.removed",
        )?
        .execute(params![
            row::peer_number(peer),
            row::peer_number(other),
            row::number(image.0),
            row::peer_number(viewer),
            removed.map(ImageName::as_str),
        ])
        .map(drop)
}

/// Owes to both of two peers what was kept back between them.
pub(super) fn release(
    connection: &Connection,
    (one, two): (PeerId, PeerId),
    now: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    let mut owed = Vec::new();
    for (peer, other) in [(one, two), (two, one)] {
        let key = params![row::peer_number(peer), row::peer_number(other)];
        let sql = "SELECT image, viewer, removed FROM withheld WHERE peer = ?1 AND other = ?2 ORDER BY image, viewer";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(key)?;
        while let Some(row) = rows.next()? {
            let (image, viewer) = (ImageNo(row::unsigned(row, 0)?), row::peer(row, 1)?);
            let removed = match row.get_ref(2)? {
                ValueRef::Null => None,
                _ => Some(row::image_name(row, 2)?),
            };
            let update = match (grants::standing(connection, image, viewer)?, removed) {
                (Some((scope, Some(grant))), removed) if !visibility::sees(&scope, peer, Some(&grant)) => {
                    // Of its name the viewer knows what it was when it was hidden.
                    let Some(name) = removed else { continue };
                    Update::Removed { image, path: ImagePath { owner: other, name } }
                }
                (Some((scope, Some(grant))), _) => Update::Grant(Box::new(grant.snapshot(&scope))),
                (None, Some(name)) => Update::Removed { image, path: ImagePath { owner: other, name } },
                // The image is gone, and that was told.
                _ => continue,
            };
            owed.push(Owe::to(peer, update));
        }
        let sql = "DELETE FROM withheld WHERE peer = ?1 AND other = ?2";
        connection.prepare(sql)?.execute(key)?;
    }
    inbox::owe(connection, owed, now)
}
