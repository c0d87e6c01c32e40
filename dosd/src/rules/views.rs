//! Views: spent exactly once under their view ID, and given back at most once.

use dos_protocol::{
    Allowance, ImageNo, PeerId, Reason, Timestamp, ViewId, WireError,
    directory::{Checkin, Spend, SpendKind, Spent, Update, Viewed, ViewedKind},
    limits::{VIEWS_CLOSED_MAX, VIEWS_MAX},
    model::{Grant, GrantState},
};

use super::{
    Decided, Owe,
    grants::{GrantRecord, Scope, added},
    refusal::{denied, invalid, not_found, stale},
};

/// Views that were spent under a view ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewRecord {
    pub(crate) image: ImageNo,
    pub(crate) viewer: PeerId,
    pub(crate) views: u32,
    pub(crate) kind: SpendKind,
    /// Views given back; nothing while the checkout is open.
    pub(crate) returned: Option<u32>,
    /// Whether the viewer has said that it is over, so that its ID gets the share no more.
    pub(crate) closed: bool,
}

/// What a spending is decided on.
#[derive(Debug)]
pub(crate) struct Spending {
    /// Nothing if the image is gone.
    pub(crate) scope: Option<Scope>,
    pub(crate) grant: Option<GrantRecord>,
    /// What was spent under the same view ID before.
    pub(crate) earlier: Option<ViewRecord>,
}

/// The grant and the view to be saved; nothing if the view was counted before.
pub(crate) type Counted = Option<(GrantRecord, ViewRecord)>;

/// Spends views. The same view ID again gets the same answer and counts nothing, until its view is over.
pub(crate) fn spend(
    state: Spending,
    spend: &Spend,
    now: Timestamp,
) -> Result<Decided<Counted, Spent>, WireError> {
    let scope = state.scope.ok_or_else(|| denied("the image is gone", Reason::Revoked))?;
    let grant = state.grant.ok_or_else(|| denied("there was never a grant", Reason::NeverGranted))?;
    if let Some(earlier) = state.earlier {
        let answer = again(&scope, &grant, &earlier, now)?;
        return Ok(Decided { state: None, answer, owed: Vec::new() });
    }
    let (share, grant) = counted(&scope, grant, spend, now)?;
    let view = ViewRecord {
        image: scope.image.no,
        viewer: scope.viewer,
        views: spend.views,
        kind: spend.kind,
        returned: None,
        closed: false,
    };
    let kind = match spend.kind {
        SpendKind::View => ViewedKind::View,
        SpendKind::Checkout => ViewedKind::Checkout,
    };
    let answer = Spent { share, grant: grant.snapshot(&scope) };
    let owed = vec![receipt(spend.view, spend.views, kind, &answer.grant)];
    Ok(Decided { state: Some((grant, view)), answer, owed })
}

/// The answer to a view ID that was counted before: for a viewer that lost it. Whoever has it needs it no more.
fn again(
    scope: &Scope,
    grant: &GrantRecord,
    earlier: &ViewRecord,
    now: Timestamp,
) -> Result<Spent, WireError> {
    if earlier.image != scope.image.no || earlier.viewer != scope.viewer {
        return Err(invalid("that view ID belongs to another view"));
    }
    let share = grant.share.ok_or_else(revoked)?;
    if earlier.returned.is_some() {
        return Err(denied("the views of that checkout were returned", Reason::ViewClosed));
    }
    if earlier.closed {
        return Err(denied("that view is over", Reason::ViewClosed));
    }
    if grant.state_at(now) == GrantState::Expired {
        return Err(expired());
    }
    Ok(Spent { share, grant: grant.snapshot(scope) })
}

/// A viewer says that a view of its own is over: what is to be saved, and nothing if that is known, or no view of this viewer.
pub(crate) fn close(view: Option<ViewRecord>, viewer: PeerId) -> Option<ViewRecord> {
    let view = view.filter(|view| view.viewer == viewer && !view.closed)?;
    Some(ViewRecord { closed: true, ..view })
}

/// Refuses a report of more views than one transaction should take.
pub(crate) fn check_closing(views: usize) -> Result<(), WireError> {
    if views > VIEWS_CLOSED_MAX {
        return Err(invalid(format!("at most {VIEWS_CLOSED_MAX} views are closed at a time")));
    }
    Ok(())
}

/// The directory's share, and the grant with these views counted.
fn counted(
    scope: &Scope,
    mut grant: GrantRecord,
    spend: &Spend,
    now: Timestamp,
) -> Result<([u8; 32], GrantRecord), WireError> {
    let share = grant.share.ok_or_else(revoked)?;
    match grant.state_at(now) {
        GrantState::Active => {}
        GrantState::Revoked => return Err(revoked()),
        GrantState::Expired => return Err(expired()),
        GrantState::UsedUp => return Err(denied("all views are used up", Reason::UsedUp)),
    }
    if spend.split != grant.split || spend.sealed != scope.image.sealed.hash {
        return Err(stale());
    }
    if spend.views == 0 || spend.views > VIEWS_MAX {
        return Err(invalid("at least one view is spent at a time"));
    }
    if spend.kind == SpendKind::Checkout && !grant.allow_offline {
        return Err(denied("the owner does not allow checkouts", Reason::NotOffline));
    }
    grant.views_left = match grant.views_left {
        Allowance::Unlimited => Allowance::Unlimited,
        Allowance::Views(left) => match left.checked_sub(spend.views) {
            Some(rest) => Allowance::Views(rest),
            None => return Err(denied(format!("only {left} views are left"), Reason::UsedUp)),
        },
    };
    grant.views_used += u64::from(spend.views);
    grant.revision += 1;
    Ok((share, grant))
}

fn revoked() -> WireError {
    denied("the grant was revoked", Reason::Revoked)
}

fn expired() -> WireError {
    denied("the grant has expired", Reason::Expired)
}

/// What a return of views is decided on; each is nothing if there is none.
#[derive(Debug)]
pub(crate) struct Returning {
    pub(crate) checkout: Option<ViewRecord>,
    pub(crate) scope: Option<Scope>,
    pub(crate) grant: Option<GrantRecord>,
    /// Whether the owner knows a receipt for views that were given up: one of the first releases does not.
    pub(crate) owner_knows: bool,
}

/// Gives back unused views of a checkout, or gives them up, which ends the checkout and returns nothing; the state is the grant to be saved, and nothing if they were given back before.
pub(crate) fn checkin(
    state: Returning,
    viewer: PeerId,
    checkin: &Checkin,
) -> Result<Decided<Option<GrantRecord>, Grant>, WireError> {
    let missing = || not_found("there is no such checkout");
    let checkout = state.checkout.ok_or_else(missing)?;
    if checkout.viewer != viewer || checkout.image != checkin.image || checkout.kind != SpendKind::Checkout {
        return Err(missing());
    }
    let scope = state.scope.ok_or_else(missing)?;
    let mut grant = state.grant.ok_or_else(missing)?;
    if checkout.returned.is_some() {
        let answer = grant.snapshot(&scope);
        return Ok(Decided { state: None, answer, owed: Vec::new() });
    }
    if checkin.unused.saturating_add(checkin.given_up) > checkout.views {
        return Err(invalid("more views than were checked out"));
    }
    grant.views_used = grant.views_used.saturating_sub(u64::from(checkin.unused));
    grant.returned += u64::from(checkin.unused);
    // What comes back to a revoked grant is worth nothing any more, and what is beyond the largest number neither.
    let is_whole = match added(grant.views_left, checkin.unused) {
        _ if grant.share.is_none() => false,
        Allowance::Views(views) if views > VIEWS_MAX => {
            grant.views_left = Allowance::Views(VIEWS_MAX);
            false
        }
        left => {
            grant.views_left = left;
            true
        }
    };
    if !is_whole {
        grant = grant.settled();
    }
    grant.revision += 1;
    let answer = grant.snapshot(&scope);
    let (views, kind) = match checkin.given_up {
        given_up if given_up > 0 && state.owner_knows => (given_up, ViewedKind::GivenUp),
        _ => (checkin.unused, ViewedKind::Checkin),
    };
    let owed = vec![receipt(checkin.checkout, views, kind, &answer)];
    Ok(Decided { state: Some(grant), answer, owed })
}

/// For the owner.
fn receipt(view: ViewId, views: u32, kind: ViewedKind, grant: &Grant) -> Owe {
    let viewed = Viewed { view, views, kind, grant: grant.clone() };
    Owe::to(grant.path.owner, Update::Viewed(Box::new(viewed)))
}

#[cfg(test)]
mod tests;
