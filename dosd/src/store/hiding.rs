//! Private images: who sees them, and what becomes of those who do not any more.
//!
//! What always holds: what is looked up for a peer that does not see an image is what is looked up for one that is not there, so that
//! neither the answer nor the time that it takes tells the two apart; no request of such a peer for it is pending.

use dos_protocol::{ImageName, ImageNo, PeerId, Visibility, model::ImageInfo};
use dos_sql::{self as sql, Connection};

use super::{Change, InboxRow, Refusal, grants, images, inbox, requests, row};
use crate::rules::{
    grants::{GrantRecord, ImageRef, Scope},
    requests::Found,
    visibility::{self, Standing},
};

/// No image has this number.
const NONE: ImageNo = ImageNo(0);

/// The owner's image of this name, if `caller` sees it, and what there is between the two.
pub(super) fn seen(
    connection: &Connection,
    (owner, name): (PeerId, &ImageName),
    caller: PeerId,
) -> sql::Result<(Option<ImageInfo>, Standing)> {
    let found = images::by_name(connection, owner, name)?;
    // Looked up also where there is no image: that takes its time, too.
    let no = found.as_ref().map_or(NONE, |image| image.no);
    let standing = grants::standing(connection, no, caller)?;
    let grant = standing.as_ref().and_then(|(_, grant)| grant.as_ref());
    let image = visibility::image(found, caller, grant);
    Ok((image, visibility::standing(standing, caller)))
}

/// A request, if `caller` is its owner, or a viewer that sees its image.
pub(super) fn request(connection: &Connection, found: Found, caller: PeerId) -> sql::Result<Found> {
    let Some((record, scope)) = found else { return Ok(None) };
    let standing = grants::standing(connection, record.image, record.viewer)?;
    let grant = standing.and_then(|(_, grant)| grant);
    Ok(visibility::sees(&scope, caller, grant.as_ref()).then_some((record, scope)))
}

/// The image is as it is now: those who saw it before, and do not any more, are told that it is gone, and their requests end.
pub(super) fn hide(
    connection: &Connection,
    change: Change,
    (before, image): (Option<Visibility>, &ImageInfo),
) -> Result<Vec<InboxRow>, Refusal> {
    if image.visibility != Visibility::Private || before != Some(Visibility::Listed) {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("SELECT viewer FROM grants WHERE image = ?1 AND share IS NULL ORDER BY viewer")?;
    let revoked = statement.query_map([row::number(image.no.0)], |row| row::peer(row, 0))?;
    hide_from(connection, change, (&image.clone().into(), revoked.collect::<Result<_, _>>()?))
}

/// A viewer has this grant now: if it was revoked, its viewer does not see a private image any more.
pub(super) fn hide_from_viewer(
    connection: &Connection,
    change: Change,
    (scope, grant): (&Scope, &GrantRecord),
) -> Result<Vec<InboxRow>, Refusal> {
    if visibility::sees(scope, scope.viewer, Some(grant)) {
        return Ok(Vec::new());
    }
    hide_from(connection, change, (&scope.image, vec![scope.viewer]))
}

fn hide_from(
    connection: &Connection,
    change: Change,
    (image, mut from): (&ImageRef, Vec<PeerId>),
) -> Result<Vec<InboxRow>, Refusal> {
    let ended = requests::end_unseen(connection, image.no, change.now)?;
    from.extend(ended.iter().map(|request| request.from));
    from.sort_unstable();
    from.dedup();
    inbox::owe_by(connection, change, visibility::hidden(image, from, ended))
}
