//! What peers assert from an earlier incarnation of the data: loaded, decided by rules, and saved, a batch in a transaction.
//!
//! What always holds: asserting the same again changes nothing, and in the first incarnation nothing does.

use dos_protocol::{
    ImageName, ImageNo, PeerId,
    directory::{Asserted, AssertedCheckout, AssertedGrant, AssertedImage, Assertion, SpendKind},
};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{
    Change, Changed, InboxRow, Refusal, Store, grants, hiding, images, inbox, incarnation, requests, row,
    views,
};
use crate::rules::{
    Quotas,
    grants::Scope,
    healing::{self, Asserting, Fork, Healed},
    incarnation::first_revision,
    publish::{self, Kept, Remembered},
    views::ViewRecord,
    visibility,
};

type Batch = (Vec<Asserted>, Vec<InboxRow>);

impl Store {
    /// Takes what a peer asserts. The answers come in the order of the things that are asserted.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn assert(&self, change: Change, assertion: Assertion) -> Result<Vec<Asserted>, Refusal> {
        let quotas = self.quotas();
        self.change(move |connection| {
            let Some(began) = incarnation::data(connection)?.renewed_at else {
                return Ok(vec![Asserted::Confirmed; assertion.count()].into());
            };
            let since = first_revision(began);
            let (answers, rows) = match assertion {
                Assertion::Removed(numbers) => removed(connection, change, numbers)?,
                Assertion::Image(image) => {
                    let (answer, rows) = self::image(connection, change, (&image, quotas))?;
                    (vec![answer], rows)
                }
                Assertion::Grants(asserted) => all(asserted, |one| grant(connection, change, (&one, since)))?,
                Assertion::Checkouts(asserted) => all(asserted, |one| checkout(connection, change, &one))?,
                Assertion::Requests(asserted) => {
                    all(asserted, |one| requests::assert(connection, change, one))?
                }
            };
            Ok(Changed::owing(answers, rows))
        })
        .await
    }
}

fn all<T>(
    asserted: Vec<T>,
    mut one: impl FnMut(T) -> Result<(Asserted, Vec<InboxRow>), Refusal>,
) -> Result<Batch, Refusal> {
    let mut batch = Batch::default();
    for thing in asserted {
        let (answer, rows) = one(thing)?;
        batch.0.push(answer);
        batch.1.extend(rows);
    }
    Ok(batch)
}

fn removed(connection: &Connection, change: Change, numbers: Vec<ImageNo>) -> Result<Batch, Refusal> {
    all(numbers, |no| {
        let image = images::by_no(connection, no)?.filter(|image| image.owner == change.peer);
        let rows = match image {
            Some(image) => images::remove_by(connection, change, &image)?,
            None => Vec::new(),
        };
        Ok((Asserted::Confirmed, rows))
    })
}

fn image(
    connection: &Connection,
    change: Change,
    (asserted, quotas): (&AssertedImage, Quotas),
) -> Result<(Asserted, Vec<InboxRow>), Refusal> {
    let (owner, publish) = (change.peer, &asserted.publish);
    let images::Counts { images, preview_bytes, .. } = images::counts(connection, owner)?;
    let state = Remembered {
        known: images::by_no(connection, asserted.image)?,
        named: images::by_spelling(connection, owner, publish.name.as_str())?,
        last: last(connection, "image")?,
        images,
        preview_bytes,
        quotas,
    };
    let known = state.known.as_ref().map(|known| known.visibility);
    let visibility = asserted.visibility.or(known).unwrap_or_default();
    let info = publish::published(owner, (asserted.image, visibility), publish);
    match publish::assert(&state, &info) {
        Kept::Refused => return Ok((Asserted::Refused, Vec::new())),
        Kept::Unchanged => return Ok((Asserted::Confirmed, Vec::new())),
        // Its owner asserts it again later.
        Kept::Written { .. }
            if matches!(
                grants::check_touching(connection, (owner, info.no), &quotas),
                Err(Refusal::Refused(_))
            ) =>
        {
            return Ok((Asserted::Refused, Vec::new()));
        }
        Kept::Written { displaced } => {
            if let Some((no, name)) = displaced {
                rename(connection, no, &name)?;
            }
            let is_new = state.known.is_none();
            let before = state.known.map_or(0, |known| i64::from(known.preview.bytes));
            let added = i64::from(is_new);
            images::delete(connection, info.no)?;
            images::write(connection, &info, &publish.preview.data, change.now)?;
            images::count(connection, owner, added, i64::from(info.preview.bytes) - before)?;
        }
    }
    // Holders of grants may have been told the older name or content since.
    let mut rows = grants::touch_all(connection, change, asserted.image)?;
    rows.extend(hiding::hide(connection, change, (known, &info))?);
    Ok((Asserted::Confirmed, rows))
}

fn rename(connection: &Connection, no: ImageNo, name: &ImageName) -> sql::Result<()> {
    let sql = "UPDATE images SET name = ?2 WHERE no = ?1";
    connection.prepare(sql)?.execute(params![row::number(no.0), name.as_str()]).map(drop)
}

/// The last number of a sequence. A number beyond it was never given.
pub(super) fn last(connection: &Connection, counter: &str) -> sql::Result<u64> {
    let mut statement = connection.prepare("SELECT last FROM counters WHERE name = ?1")?;
    statement.query_row([counter], |row| row::unsigned(row, 0))
}

fn grant(
    connection: &Connection,
    change: Change,
    (asserted, since): (&AssertedGrant, u64),
) -> Result<(Asserted, Vec<InboxRow>), Refusal> {
    let (image, viewer) = (asserted.grant.image, asserted.grant.viewer);
    let standing = visibility::standing(grants::standing(connection, image, viewer)?, change.peer);
    let Some((scope, grant)) = standing else {
        return Ok((Asserted::Missing, Vec::new()));
    };
    let fork = fork(connection, image, viewer)?;
    let state = Asserting { scope: scope.clone(), grant, fork, since };
    let decided = healing::assert(state, change.peer, asserted);
    if let Some(Healed { grant, fork, without_receipt }) = decided.state {
        grants::save(connection, &scope, &grant)?;
        if let Some(fork) = fork {
            save_fork(connection, &scope, &fork)?;
        }
        count_without_receipt(connection, (image, viewer), without_receipt)?;
    }
    Ok((decided.answer, inbox::owe_by(connection, change, decided.owed)?))
}

fn checkout(
    connection: &Connection,
    change: Change,
    asserted: &AssertedCheckout,
) -> Result<(Asserted, Vec<InboxRow>), Refusal> {
    let AssertedCheckout { image, checkout, unused } = *asserted;
    let answer = |answer| Ok((answer, Vec::new()));
    let known = views::find(connection, checkout)?;
    let state = (known.as_ref(), fork(connection, image, change.peer)?);
    let fork = match healing::checkout(state, change.peer, asserted) {
        Ok(fork) => fork,
        Err(other) => return answer(other),
    };
    let standing = visibility::standing(grants::standing(connection, image, change.peer)?, change.peer);
    let Some((scope, _)) = standing else {
        return answer(Asserted::Missing);
    };
    save_fork(connection, &scope, &fork)?;
    count_without_receipt(connection, (image, change.peer), -i64::from(unused))?;
    let view = ViewRecord {
        image,
        viewer: change.peer,
        views: unused,
        kind: SpendKind::Checkout,
        returned: None,
        closed: false,
    };
    views::insert(connection, checkout, &view, (change.now, None))?;
    answer(Asserted::Confirmed)
}

fn fork(connection: &Connection, image: ImageNo, viewer: PeerId) -> sql::Result<Option<Fork>> {
    let sql = "SELECT split, owner_revision, used_revision, used, \"left\", claimed, returned FROM forks
               WHERE image = ?1 AND viewer = ?2";
    let key = params![row::number(image.0), row::peer_number(viewer)];
    let fork = |row: Row<'_>| {
        Ok(Fork {
            split: row::bytes::<16>(row, 0)?.into(),
            owner_revision: row::unsigned(row, 1)?,
            used_revision: row::unsigned(row, 2)?,
            used: row::unsigned(row, 3)?,
            left: row.get::<Option<u32>>(4)?.into(),
            claimed: row::unsigned(row, 5)?,
            returned: row::unsigned(row, 6)?,
        })
    };
    connection.prepare(sql)?.query_row(key, fork).optional()
}

fn save_fork(connection: &Connection, scope: &Scope, fork: &Fork) -> sql::Result<()> {
    connection
        .prepare(
            "INSERT INTO forks(image, viewer, split, owner_revision, used_revision, used, \"left\", claimed, returned)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT(image, viewer) DO UPDATE SET split = excluded.split,
                 owner_revision = excluded.owner_revision, used_revision = excluded.used_revision,
                 used = excluded.used, \"left\" = excluded.\"left\", claimed = excluded.claimed,
                 returned = excluded.returned",
        )?
        .execute(params![
            row::number(scope.image.no.0),
            row::peer_number(scope.viewer),
            fork.split.as_bytes().as_slice(),
            row::number(fork.owner_revision),
            row::number(fork.used_revision),
            row::number(fork.used),
            Option::<u32>::from(fork.left),
            row::number(fork.claimed),
            row::number(fork.returned),
        ])
        .map(drop)
}

/// Used views that no view ID stands for: like those whose receipts are forgotten.
fn count_without_receipt(
    connection: &Connection,
    (image, viewer): (ImageNo, PeerId),
    views: i64,
) -> sql::Result<()> {
    if views == 0 {
        return Ok(());
    }
    connection
        .prepare(
            "INSERT INTO views_forgotten(image, viewer, views) VALUES(?1, ?2, ?3)
             ON CONFLICT(image, viewer) DO UPDATE SET views = views_forgotten.views + excluded.views",
        )?
        .execute(params![row::number(image.0), row::peer_number(viewer), views])
        .map(drop)
}
