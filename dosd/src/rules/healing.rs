//! What a peer asserts of a grant from an earlier incarnation of the data, and what the directory makes of it.
//!
//! A grant that there was when this incarnation began has a [`Fork`]: what is known of it from before. What is asserted moves the
//! fork, and what has happened since stays on top of it, so that the order in which peers come back does not matter:
//!
//! - The owner's word counts for everything that owners decide: how many views were given, until when, under which key.
//! - Of the views used the higher revision counts. A viewer's word never lowers them and never gives it anything.
//! - A revocation is final for its splitting of the key, whatever the revisions are: a grant that is given anew has another one.
//! - What has happened in this incarnation is counted already. Whoever was told of it before it met the incarnation (by a session
//!   of before, which finishes what it has begun) asserts it too: by its revision it is known for what it is.
//!
//! So a viewer that lies makes itself poorer, and an owner that lies does what it may do anyway.

use dos_protocol::{
    Allowance, PeerId, SplitId,
    directory::{Asserted, AssertedCheckout, AssertedGrant, KeyShare},
    limits::VIEWS_MAX,
    model::Grant,
};

use super::{
    Decided,
    grants::{GrantRecord, Scope, owe_both},
    views::ViewRecord,
};

/// The most used views that are believed: more is no count of anyone's, and sums of it would not fit.
const USED_MAX: u64 = 1 << 48;

/// What is known of a grant from before this incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) split: SplitId,
    /// The newest state that the owner's decisions are known of.
    pub(crate) owner_revision: u64,
    /// The newest state that the used views are known of.
    pub(crate) used_revision: u64,
    pub(crate) used: u64,
    /// Views that were given back.
    pub(crate) returned: u64,
    pub(crate) left: Allowance,
    /// Used views that were asserted and that no view ID stands for.
    pub(crate) claimed: u64,
}

/// What an assertion is decided on.
#[derive(Debug, Clone)]
pub(crate) struct Asserting {
    pub(crate) scope: Scope,
    pub(crate) grant: Option<GrantRecord>,
    /// Nothing of a grant that was given in this incarnation.
    pub(crate) fork: Option<Fork>,
    /// The first revision that grants with a fork have in this incarnation ([`super::incarnation::first_revision`]).
    pub(crate) since: u64,
}

/// What is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Healed {
    pub(crate) grant: GrantRecord,
    pub(crate) fork: Option<Fork>,
    /// Used views for which there is no receipt, more than before.
    pub(crate) without_receipt: i64,
}

type Outcome = Decided<Option<Healed>, Asserted>;

fn nothing(answer: Asserted) -> Outcome {
    Decided { state: None, answer, owed: Vec::new() }
}

/// Decides what `caller` asserts of a grant.
pub(crate) fn assert(state: Asserting, caller: PeerId, asserted: &AssertedGrant) -> Outcome {
    // A viewer may know an image that had this number in another history.
    let owner = state.scope.owner();
    if owner != asserted.grant.path.owner || owner == state.scope.viewer {
        return nothing(Asserted::Refused);
    }
    if asserted.grant.views_used.max(asserted.grant.returned) > USED_MAX
        || asserted.grant.revision.0 > USED_MAX
    {
        return nothing(Asserted::Refused);
    }
    if let Allowance::Views(views) = asserted.grant.views_left
        && views > VIEWS_MAX
    {
        return nothing(Asserted::Refused);
    }
    // A state of this incarnation is in the grant, and not in what it was before.
    let fork = state.fork.filter(|_| asserted.grant.revision.0 < state.since);
    let state = Asserting { fork, ..state };
    if caller == owner {
        by_owner(state, asserted)
    } else if caller == state.scope.viewer {
        by_viewer(state, &asserted.grant)
    } else {
        nothing(Asserted::Refused)
    }
}

fn by_owner(state: Asserting, AssertedGrant { grant: told, key }: &AssertedGrant) -> Outcome {
    let key = key.as_ref().filter(|key| key.split == told.split);
    if !told.revoked && key.is_none() {
        return nothing(Asserted::Refused);
    }
    let Some(now) = state.grant else { return given((&state.scope, state.since), told, key) };
    let Some(fork) = state.fork.filter(|fork| told.revision.0 > fork.owner_revision) else {
        return revoked(&state.scope, now, told).unwrap_or_else(|| nothing(Asserted::Confirmed));
    };
    let revision = told.revision.0;
    let (used, returned) = if revision >= fork.used_revision {
        (told.views_used, told.returned)
    } else {
        (fork.used, fork.returned)
    };
    let moved = Fork {
        split: told.split,
        owner_revision: revision,
        used_revision: fork.used_revision.max(revision),
        used,
        returned,
        left: if told.revoked {
            Allowance::Views(0)
        } else {
            without(told.views_left, told.views_used, used)
        },
        claimed: fork.claimed.saturating_add(used.saturating_sub(fork.used)),
    };
    let mut next = rebased(&now, &fork, &moved);
    // A grant that the owner has given anew in this incarnation stays as it is, and so does a revocation of this splitting.
    let is_final = now.share.is_none() && now.split == told.split;
    if now.split == fork.split && !is_final {
        next.split = told.split;
        next.share = key.filter(|_| !told.revoked).map(|key| key.share);
        next.check = key.and_then(|key| key.check);
        next.allow_offline = told.allow_offline;
        next.expires_at = told.expires_at;
    } else {
        next.views_left = now.views_left;
    }
    if told.revoked && now.split == told.split {
        next.share = None;
        next.expires_at = told.expires_at;
    }
    if next.share.is_none() {
        next.views_left = Allowance::Views(0);
        next.allow_offline = false;
    }
    // Of a revocation that a viewer came first with nobody was told.
    let is_agreed = next.share.is_some();
    saved(&state.scope, (now, next), (&fork, moved), (revision, is_agreed))
}

/// A grant that the directory has lost. From here on its revisions are those of this incarnation.
fn given((scope, since): (&Scope, u64), told: &Grant, key: Option<&KeyShare>) -> Outcome {
    let left = if told.revoked { Allowance::Views(0) } else { told.views_left };
    let fork = Fork {
        split: told.split,
        owner_revision: told.revision.0,
        used_revision: told.revision.0,
        used: told.views_used,
        returned: told.returned,
        left,
        claimed: told.views_used,
    };
    let grant = GrantRecord {
        split: told.split,
        share: key.filter(|_| !told.revoked).map(|key| key.share),
        views_left: left,
        views_used: told.views_used,
        expires_at: told.expires_at,
        revision: told.revision.0.max(since),
        granted: None,
        allow_offline: told.allow_offline && !told.revoked,
        check: key.and_then(|key| key.check),
        returned: told.returned,
    }
    .settled();
    let owed = owe_both(&grant.snapshot(scope));
    let without_receipt = told.views_used.cast_signed();
    let state = Some(Healed { grant, fork: Some(fork), without_receipt });
    Decided { state, answer: Asserted::Confirmed, owed }
}

fn by_viewer(state: Asserting, told: &Grant) -> Outcome {
    let Some(now) = state.grant else { return nothing(Asserted::Missing) };
    let Some(fork) = state.fork.filter(|fork| told.revision.0 > fork.used_revision) else {
        return revoked(&state.scope, now, told).unwrap_or_else(|| nothing(Asserted::Confirmed));
    };
    let used = fork.used.max(told.views_used);
    let moved = Fork {
        used_revision: told.revision.0,
        used,
        returned: fork.returned.max(told.returned),
        left: without(fork.left, fork.used, used),
        claimed: fork.claimed.saturating_add(used - fork.used),
        ..fork.clone()
    };
    let mut next = rebased(&now, &fork, &moved);
    if now.split != fork.split || now.share.is_none() {
        next.views_left = now.views_left;
    }
    if told.revoked && told.split == now.split {
        next.share = None;
        next.views_left = Allowance::Views(0);
        next.allow_offline = false;
        // It says until when it would have been: of no use to anyone any more.
        next.expires_at = told.expires_at;
    }
    // What the viewer knows beyond that, the owner has decided, and can confirm.
    let agrees = next.views_left == told.views_left
        && next.split == told.split
        && next.share.is_none() == told.revoked;
    let waits = !agrees && now.split == fork.split;
    let is_known = told.revoked && told.split == now.split;
    let mut outcome = saved(&state.scope, (now, next), (&fork, moved), (told.revision.0, true));
    // The viewer knows that it was revoked, and the owner better than the directory how it was then: it tells when it is back.
    if is_known {
        outcome.owed.clear();
    }
    if waits { Decided { answer: Asserted::Missing, ..outcome } } else { outcome }
}

/// A revocation of the splitting under which the grant is now.
fn revoked(scope: &Scope, now: GrantRecord, told: &Grant) -> Option<Outcome> {
    if !told.revoked || told.split != now.split || now.share.is_none() {
        return None;
    }
    let revision = now.revision.max(told.revision.0);
    let grant = GrantRecord { revision, expires_at: told.expires_at, ..now }.revoked();
    let owed = owe_both(&grant.snapshot(scope));
    let state = Some(Healed { grant, fork: None, without_receipt: 0 });
    Some(Decided { state, answer: Asserted::Confirmed, owed })
}

/// What `left` comes to when of `before` used views it is known that they are `used`.
fn without(left: Allowance, before: u64, used: u64) -> Allowance {
    match left {
        Allowance::Unlimited => Allowance::Unlimited,
        Allowance::Views(left) => {
            let given = u64::from(left).saturating_add(before);
            let rest = given.saturating_sub(used).min(VIEWS_MAX.into());
            Allowance::Views(u32::try_from(rest).unwrap_or(VIEWS_MAX))
        }
    }
}

/// The grant as it is now, with what happened since on top of the fork that has moved.
fn rebased(now: &GrantRecord, fork: &Fork, moved: &Fork) -> GrantRecord {
    let views_used = now.views_used.saturating_add(moved.used).saturating_sub(fork.used);
    // That it was revoked since is no view of anyone's.
    let after =
        if now.share.is_none() { without(fork.left, fork.used, now.views_used) } else { now.views_left };
    let views_left = match (fork.left, after, moved.left) {
        (Allowance::Views(before), Allowance::Views(after), Allowance::Views(moved)) => {
            let left = u64::from(moved).saturating_add(after.into()).saturating_sub(before.into());
            Allowance::Views(u32::try_from(left.min(VIEWS_MAX.into())).unwrap_or(VIEWS_MAX))
        }
        // What was decided since stays.
        (before, after, moved) => {
            if before == after {
                moved
            } else {
                after
            }
        }
    };
    let returned = now.returned.saturating_add(moved.returned).saturating_sub(fork.returned);
    GrantRecord { views_used, views_left, returned, ..now.clone() }
}

/// Saves what came out, and owes it to both if it is another state, or not the one that was told (`is_agreed`). A grant that nothing has changed since is taken at the revision that is asserted: who knows that knows
/// the grant.
fn saved(
    scope: &Scope,
    (now, next): (GrantRecord, GrantRecord),
    (fork, moved): (&Fork, Fork),
    (revision, is_agreed): (u64, bool),
) -> Outcome {
    let without_receipt = next.views_used.cast_signed() - now.views_used.cast_signed();
    let fork_moved = Some(moved);
    if next == now && is_agreed {
        let state = Some(Healed { grant: now, fork: fork_moved, without_receipt });
        return Decided { state, answer: Asserted::Confirmed, owed: Vec::new() };
    }
    let is_untouched = now.split == fork.split && now.views_left == fork.left && now.views_used == fork.used;
    let revision = if is_untouched && revision > now.revision {
        revision
    } else {
        now.revision.max(revision).saturating_add(1)
    };
    let grant = GrantRecord { revision, ..next }.settled();
    let owed = owe_both(&grant.snapshot(scope));
    Decided {
        state: Some(Healed { grant, fork: fork_moved, without_receipt }),
        answer: Asserted::Confirmed,
        owed,
    }
}

/// Whether a checkout that `caller` asserts can be taken for views that were asserted as used, and the fork then. Only these: a
/// viewer cannot make views that are counted otherwise into some that it can give back. One that is `known` is not taken again.
pub(crate) fn checkout(
    (known, fork): (Option<&ViewRecord>, Option<Fork>),
    caller: PeerId,
    &AssertedCheckout { image, unused, .. }: &AssertedCheckout,
) -> Result<Fork, Asserted> {
    if let Some(known) = known {
        let is_same = known.image == image && known.viewer == caller;
        return Err(if is_same { Asserted::Confirmed } else { Asserted::Refused });
    }
    let fork = fork.ok_or(Asserted::Missing)?;
    if unused == 0 {
        return Err(Asserted::Confirmed);
    }
    match fork.claimed.checked_sub(unused.into()) {
        Some(claimed) => Ok(Fork { claimed, ..fork }),
        None => Err(Asserted::Missing),
    }
}

#[cfg(test)]
mod tests;
