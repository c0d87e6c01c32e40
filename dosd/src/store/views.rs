//! Views: loaded, spent by a rule, and saved with their receipt.

use dos_protocol::{
    ImageNo, Seq, Timestamp, ViewId,
    directory::{Checkin, Spend, SpendKind, Spent},
    model::Grant,
};
use dos_sql::{self as sql, Connection, Optional as _, params};

use super::{Change, Changed, Refusal, Store, grants, inbox, incarnation, row, scope};
use crate::rules::{
    quota::check_receipt,
    views::{self, Returning, Spending, ViewRecord},
    visibility,
};

fn kind_number(kind: SpendKind) -> i64 {
    match kind {
        SpendKind::View => 0,
        SpendKind::Checkout => 1,
    }
}

fn kind(number: i64) -> Option<SpendKind> {
    [SpendKind::View, SpendKind::Checkout].into_iter().find(|kind| kind_number(*kind) == number)
}

pub(super) fn find(connection: &Connection, view: ViewId) -> sql::Result<Option<ViewRecord>> {
    let mut statement = connection
        .prepare("SELECT image, viewer, views, kind, returned, closed FROM views WHERE view = ?1")?;
    statement
        .query_row([view.as_bytes().as_slice()], |row| {
            Ok(ViewRecord {
                image: ImageNo(row::unsigned(row, 0)?),
                viewer: row::peer(row, 1)?,
                views: row::small(row, 2)?,
                kind: row::one_of(row, 3, kind)?,
                returned: row.get(4)?,
                closed: row.get(5)?,
            })
        })
        .optional()
}

/// The answer to views that are counted once, however often they are spent or returned under one view ID.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted<T> {
    /// The answer.
    pub value: T,
    /// This time they were counted; else before.
    pub is_new: bool,
}

impl Store {
    /// Spends views: the grant, the view ID and the receipt are written in one transaction. The same view ID again gets the
    /// same answer and counts nothing.
    ///
    /// # Errors
    /// `denied` with the reason; `stale` if the viewer holds a superseded copy or share; `invalid`.
    pub async fn spend(&self, change: Change, spend: Spend) -> Result<Counted<Spent>, Refusal> {
        let quotas = self.quotas();
        let scope = self.scope_of_image(spend.image).await?;
        self.change_in(scope, move |connection| {
            let standing = grants::standing(connection, spend.image, change.peer)?;
            let standing = visibility::standing(standing, change.peer);
            let (scope, grant) = standing.unzip();
            let earlier = find(connection, spend.view)?;
            if let (Some(scope), None) = (&scope, &earlier) {
                check_receipt(inbox::bytes(connection, scope.owner())?, &quotas)?;
            }
            let state = Spending { scope: scope.clone(), grant: grant.flatten(), earlier };
            let decided = views::spend(state, &spend, change.now)?;
            let is_new = decided.state.is_some();
            let rows = inbox::owe_by(connection, change, decided.owed)?;
            if let (Some(scope), Some((grant, view))) = (scope, decided.state) {
                grants::save(connection, &scope, &grant)?;
                let receipt = rows.iter().find(|row| row.peer == scope.owner()).map(|row| row.seq);
                insert(connection, spend.view, &view, (change.now, receipt))?;
            }
            Ok(Changed::owing(Counted { value: decided.answer, is_new }, rows))
        })
        .await
    }

    /// Gives back unused views of a checkout. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found` if there is no such checkout of this viewer; `invalid` if it had fewer views.
    pub async fn checkin(&self, change: Change, checkin: Checkin) -> Result<Counted<Grant>, Refusal> {
        let scope = self.scope_of_image(checkin.image).await?;
        self.change_in(scope, move |connection| {
            let checkout = find(connection, checkin.checkout)?;
            let standing = grants::standing(connection, checkin.image, change.peer)?;
            let (scope, grant) = visibility::standing(standing, change.peer).unzip();
            let owner_knows = match &scope {
                Some(scope) => incarnation::knows(connection, scope.owner())?,
                None => false,
            };
            let state = Returning { checkout, scope: scope.clone(), grant: grant.flatten(), owner_knows };
            let decided = views::checkin(state, change.peer, &checkin)?;
            let is_new = decided.state.is_some();
            if let (Some(scope), Some(grant)) = (scope, decided.state) {
                grants::save(connection, &scope, &grant)?;
                connection
                    .prepare("UPDATE views SET returned = ?2 WHERE view = ?1")?
                    .execute(params![checkin.checkout.as_bytes().as_slice(), checkin.unused])?;
            }
            let rows = inbox::owe_by(connection, change, decided.owed)?;
            Ok(Changed::owing(Counted { value: decided.answer, is_new }, rows))
        })
        .await
    }

    /// Views of a viewer are over: their IDs get the share no more. Again it changes nothing.
    ///
    /// # Errors
    /// `invalid` if those are too many.
    pub async fn close_views(&self, change: Change, ids: Vec<ViewId>) -> Result<(), Refusal> {
        self.change_in(scope::of([change.peer]), move |connection| {
            views::check_closing(ids.len())?;
            for id in ids {
                let Some(view) = views::close(find(connection, id)?, change.peer) else { continue };
                connection
                    .prepare("UPDATE views SET closed = ?2 WHERE view = ?1")?
                    .execute(params![id.as_bytes().as_slice(), view.closed])?;
            }
            Ok(().into())
        })
        .await
    }
}

/// Writes a view down, with the place of its receipt in the owner's inbox.
pub(super) fn insert(
    connection: &Connection,
    id: ViewId,
    view: &ViewRecord,
    (now, receipt): (Timestamp, Option<Seq>),
) -> sql::Result<()> {
    connection
        .prepare(
            "INSERT INTO views(view, image, viewer, views, kind, spent_at, receipt) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            id.as_bytes().as_slice(),
            row::number(view.image.0),
            row::peer_number(view.viewer),
            view.views,
            kind_number(view.kind),
            now.0,
            receipt.map(|seq| row::number(seq.0)),
        ])
        .map(drop)
}
