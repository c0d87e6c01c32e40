//! Views: spent exactly once under their view ID, whatever is lost on the way.

use dos_protocol::{
    Allowance, ImageNo, PeerId, Reason, Timestamp, ViewId,
    directory::{Checkin, Spend, SpendKind, Spent, Update, Viewed, ViewedKind},
    limits::VIEWS_MAX,
    model::{Grant, GrantState, ImageInfo},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Changed, Refusal, Store, grants, grants::Right, images, inbox, row};

/// A row of `views`.
struct Spending {
    image: ImageNo,
    viewer: PeerId,
    views: u32,
    kind: SpendKind,
    /// Views given back; nothing while the checkout is open.
    returned: Option<u32>,
}

fn find(connection: &Connection, view: ViewId) -> rusqlite::Result<Option<Spending>> {
    let mut statement = connection
        .prepare_cached("SELECT image, viewer, views, kind, returned FROM views WHERE view = ?1")?;
    statement
        .query_row([view.as_bytes().as_slice()], |row| {
            Ok(Spending {
                image: ImageNo(row::unsigned(row, 0)?),
                viewer: row::peer(row, 1)?,
                views: row::small(row, 2)?,
                kind: row::one_of(row, 3, |kind| match kind {
                    0 => Some(SpendKind::View),
                    1 => Some(SpendKind::Checkout),
                    _ => None,
                })?,
                returned: row.get(4)?,
            })
        })
        .optional()
}

/// What came of an operation that takes effect once, however often it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Once<T> {
    /// The answer.
    pub value: T,
    /// This time it took effect; else it had before.
    pub is_new: bool,
}

impl Store {
    /// Spends views: checks the right, writes down the view ID, counts down, owes the receipt and answers with the share,
    /// all in one transaction. The same view ID again gets the same answer and counts nothing.
    ///
    /// # Errors
    /// `denied` with the reason; `stale` if the viewer holds a superseded copy or share; `not_found`.
    pub async fn spend(&self, viewer: PeerId, spend: Spend, now: Timestamp) -> Result<Once<Spent>, Refusal> {
        self.change(move |connection| {
            let image = images::by_no(connection, spend.image)?;
            let image = image.ok_or_else(|| Refusal::denied("the image is gone", Reason::Revoked))?;
            let right = grants::find(connection, image.no, viewer)?;
            let right =
                right.ok_or_else(|| Refusal::denied("there was never a right", Reason::NeverGranted))?;
            if let Some(spending) = find(connection, spend.view)? {
                let value = again(connection, &image, &right, &spending, viewer)?;
                return Ok(Once { value, is_new: false }.into());
            }
            once(connection, Standing { image: &image, viewer, right }, &spend, now)
        })
        .await
    }

    /// Gives back unused views of a checkout. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found` if there is no such checkout of this viewer; `invalid` if it had fewer views.
    pub async fn checkin(
        &self,
        viewer: PeerId,
        checkin: Checkin,
        now: Timestamp,
    ) -> Result<Once<Grant>, Refusal> {
        self.change(move |connection| {
            let missing = || Refusal::not_found("there is no such checkout");
            let spending = find(connection, checkin.checkout)?.filter(|spending| {
                spending.viewer == viewer
                    && spending.image == checkin.image
                    && spending.kind == SpendKind::Checkout
            });
            let spending = spending.ok_or_else(missing)?;
            let image = images::by_no(connection, checkin.image)?.ok_or_else(missing)?;
            let mut right = grants::find(connection, image.no, viewer)?.ok_or_else(missing)?;
            if spending.returned.is_some() {
                let value = grants::snapshot(connection, &image, viewer, &right)?;
                return Ok(Once { value, is_new: false }.into());
            }
            if checkin.unused > spending.views {
                return Err(Refusal::invalid("more views than were checked out"));
            }
            connection
                .prepare_cached("UPDATE views SET returned = ?2 WHERE view = ?1")?
                .execute(params![checkin.checkout.as_bytes().as_slice(), checkin.unused])?;
            right.views_used = right.views_used.saturating_sub(u64::from(checkin.unused));
            // What comes back to a right that was taken back is not worth anything any more.
            if right.share.is_some() {
                right.views_left = match grants::added(right.views_left, checkin.unused) {
                    Allowance::Views(views) => Allowance::Views(views.min(VIEWS_MAX)),
                    Allowance::Unlimited => Allowance::Unlimited,
                };
            }
            right.revision += 1;
            grants::save(connection, &image, viewer, &right)?;
            let grant = grants::snapshot(connection, &image, viewer, &right)?;
            let viewed = Viewed {
                view: checkin.checkout,
                views: checkin.unused,
                kind: ViewedKind::Checkin,
                grant: grant.clone(),
            };
            let receipt = inbox::owe(connection, image.owner, now, Update::Viewed(Box::new(viewed)))?;
            Ok(Changed { value: Once { value: grant, is_new: true }, owed: vec![receipt] })
        })
        .await
    }
}

/// The answer to a view ID that was counted before.
fn again(
    connection: &Connection,
    image: &ImageInfo,
    right: &Right,
    spending: &Spending,
    viewer: PeerId,
) -> Result<Spent, Refusal> {
    if spending.image != image.no || spending.viewer != viewer {
        return Err(Refusal::invalid("that view ID belongs to another view"));
    }
    let share = right.share.ok_or_else(|| Refusal::denied("the right was revoked", Reason::Revoked))?;
    Ok(Spent { share, grant: grants::snapshot(connection, image, viewer, right)? })
}

/// A viewer's right to an image.
struct Standing<'a> {
    image: &'a ImageInfo,
    viewer: PeerId,
    right: Right,
}

fn once(
    connection: &Connection,
    Standing { image, viewer, mut right }: Standing<'_>,
    spend: &Spend,
    now: Timestamp,
) -> Result<Changed<Once<Spent>>, Refusal> {
    let share = match (right.state_at(now), right.share) {
        (GrantState::Revoked, _) | (_, None) => {
            return Err(Refusal::denied("the right was revoked", Reason::Revoked));
        }
        (GrantState::Expired, _) => return Err(Refusal::denied("the right has expired", Reason::Expired)),
        (GrantState::UsedUp, _) => return Err(Refusal::denied("all views are used up", Reason::UsedUp)),
        (GrantState::Active, Some(share)) => share,
    };
    if spend.split != right.split || spend.sealed != image.sealed.hash {
        return Err(Refusal::stale());
    }
    if spend.views == 0 || spend.views > VIEWS_MAX {
        return Err(Refusal::invalid("at least one view is spent at a time"));
    }
    right.views_left = match right.views_left {
        Allowance::Unlimited => Allowance::Unlimited,
        Allowance::Views(left) => match left.checked_sub(spend.views) {
            Some(rest) => Allowance::Views(rest),
            None => return Err(Refusal::denied(format!("only {left} views are left"), Reason::UsedUp)),
        },
    };
    right.views_used += u64::from(spend.views);
    right.revision += 1;
    grants::save(connection, image, viewer, &right)?;
    let (kind, viewed) = match spend.kind {
        SpendKind::View => (0, ViewedKind::View),
        SpendKind::Checkout => (1, ViewedKind::Checkout),
    };
    connection
        .prepare_cached(
            "INSERT INTO views(view, image, viewer, views, kind, spent_at) VALUES(?1,?2,?3,?4,?5,?6)",
        )?
        .execute(params![
            spend.view.as_bytes().as_slice(),
            row::number(image.no.0),
            row::peer_number(viewer),
            spend.views,
            kind,
            now.0
        ])?;
    let grant = grants::snapshot(connection, image, viewer, &right)?;
    let receipt = Viewed { view: spend.view, views: spend.views, kind: viewed, grant: grant.clone() };
    let owed = vec![inbox::owe(connection, image.owner, now, Update::Viewed(Box::new(receipt)))?];
    Ok(Changed { value: Once { value: Spent { share, grant }, is_new: true }, owed })
}
