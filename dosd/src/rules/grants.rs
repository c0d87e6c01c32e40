//! Grants: given, changed and revoked by the owner alone. Spending is in `views`.

use std::time::Duration;

use dos_protocol::{
    Allowance, ImageNo, ImagePath, PeerId, PeerName, Revision, ShareCheck, SplitId, Timestamp, Visibility,
    WireError,
    directory::{ExpiryChange, KeyShare, RequestState, Share, Update, ViewsChange},
    limits::VIEWS_MAX,
    model::{Access, AccessState, Grant, GrantState, ImageInfo, SealedCopy},
};

use super::{
    Decided, Owe,
    blocks::across::{self, Act, Between},
    inbox::Cause,
    quota::{Adding, Quotas, Waiting, check_room, check_rows},
    refusal::{invalid, not_found},
    visibility,
};

/// A grant as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantRecord {
    pub(crate) split: SplitId,
    /// The directory's share of the content key; gone when the grant is revoked.
    pub(crate) share: Option<[u8; 32]>,
    pub(crate) views_left: Allowance,
    pub(crate) views_used: u64,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) revision: u64,
    /// By which the viewer knows the owner share that belongs to `split`.
    pub(crate) check: Option<ShareCheck>,
    /// Whether the owner allows checkouts.
    pub(crate) allow_offline: bool,
    /// Views given back from checkouts, across revocations too.
    pub(crate) returned: u64,
    /// What was given: the views left and used together, as [`GrantRecord::settled`] has it; nothing of an unlimited one.
    pub(crate) granted: Option<u64>,
}

/// An image as a grant or a request refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageRef {
    pub(crate) no: ImageNo,
    pub(crate) path: ImagePath,
    pub(crate) sealed: SealedCopy,
    pub(crate) visibility: Visibility,
}

impl From<ImageInfo> for ImageRef {
    fn from(image: ImageInfo) -> Self {
        let ImageInfo { no, owner, name, sealed, visibility, .. } = image;
        Self { no, path: ImagePath { owner, name }, sealed, visibility }
    }
}

/// Whose grant to which image, or whose request for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) image: ImageRef,
    pub(crate) owner_name: Option<PeerName>,
    pub(crate) viewer: PeerId,
    pub(crate) viewer_name: Option<PeerName>,
}

impl Scope {
    pub(crate) fn owner(&self) -> PeerId {
        self.image.path.owner
    }
}

impl GrantRecord {
    /// A revoked grant stays so; then time counts before views.
    pub(crate) fn state_at(&self, now: Timestamp) -> GrantState {
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

    /// The grant as it travels.
    pub(crate) fn snapshot(&self, scope: &Scope) -> Grant {
        Grant {
            image: scope.image.no,
            path: scope.image.path.clone(),
            owner_name: scope.owner_name.clone(),
            viewer: scope.viewer,
            viewer_name: scope.viewer_name.clone(),
            views_left: self.views_left,
            views_used: self.views_used,
            expires_at: self.expires_at,
            revoked: self.share.is_none(),
            revision: Revision(self.revision),
            split: self.split,
            sealed: scope.image.sealed,
            check: self.check,
            allow_offline: self.allow_offline,
            returned: self.returned,
            offer: false,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.share.is_some()
    }

    pub(crate) fn revoked(mut self) -> Self {
        self.share = None;
        self.views_left = Allowance::Views(0);
        self.allow_offline = false;
        self.revision += 1;
        self.settled()
    }

    /// The grant after its owner has decided how many views are left: that is what was granted. Whoever spends or returns views
    /// afterwards leaves it as it is.
    pub(crate) fn settled(mut self) -> Self {
        self.granted = match self.views_left {
            Allowance::Unlimited => None,
            Allowance::Views(left) => Some(self.views_used.saturating_add(left.into())),
        };
        self
    }

    /// More views on a live grant, or a grant with them, given anew under `key`; with another consent to checkouts, if said.
    pub(crate) fn with_more(
        old: Option<Self>,
        (views, allow_offline): (u32, Option<bool>),
        key: &KeyShare,
        now: Timestamp,
    ) -> Result<Self, WireError> {
        let mut grant = match old {
            Some(grant) if grant.is_live() => grant,
            old => renewed(old, Some(key))?,
        };
        grant.views_left = bounded(added(grant.views_left, views))?;
        grant.expires_at = unless_past(grant.expires_at, now);
        grant.allow_offline = allow_offline.unwrap_or(grant.allow_offline);
        grant.revision += 1;
        Ok(grant.settled())
    }
}

/// What an owner's change of a grant is decided on.
#[derive(Debug)]
pub(crate) struct Sharing {
    pub(crate) scope: Scope,
    /// The grant that there is, or was.
    pub(crate) old: Option<GrantRecord>,
    pub(crate) between: Between,
    /// What waits for the viewer.
    pub(crate) waiting: Waiting,
    pub(crate) quotas: Quotas,
}

/// Gives, changes or revokes a grant.
pub(crate) fn share(
    state: Sharing,
    share: &Share,
    now: Timestamp,
) -> Result<Decided<GrantRecord, Grant>, WireError> {
    let is_live = state.old.as_ref().is_some_and(GrantRecord::is_live);
    let act = if is_live || share.views == ViewsChange::Revoke { Act::Change } else { Act::Give };
    across::admit(act, state.between, (state.scope.viewer, state.scope.viewer_name.as_ref()))?;
    // A grant can always be revoked.
    if share.views != ViewsChange::Revoke {
        let adding = if state.old.is_some() { Adding::Change } else { Adding::Grant };
        check_room(state.waiting, adding, &state.quotas)?;
        if state.old.is_none() {
            check_rows(state.waiting.row_bytes, &state.quotas)?;
        }
    }
    let scope = &state.scope;
    if scope.viewer == scope.owner() {
        return Err(invalid("an owner's own views are free and need no grant"));
    }
    // Again it changes nothing: so a revocation, which always has room, comes after a grant, which had to have it.
    let is_again = |grant: &&GrantRecord| share.views == ViewsChange::Revoke && !grant.is_live();
    if let Some(grant) = state.old.as_ref().filter(is_again) {
        return Ok(Decided { state: grant.clone(), answer: grant.snapshot(scope), owed: Vec::new() });
    }
    let Some(grant) = changed(state.old, share, now)? else {
        return Err(not_found(format!("{} has no grant for {}", share.viewer, scope.image.path.name)));
    };
    let answer = grant.snapshot(scope);
    let owed = owe_both(&answer);
    Ok(Decided { state: grant, answer, owed })
}

/// The grant after an owner's change; `None` if there is nothing to change.
fn changed(
    old: Option<GrantRecord>,
    share: &Share,
    now: Timestamp,
) -> Result<Option<GrantRecord>, WireError> {
    let mut grant = match (share.views, old) {
        (ViewsChange::Revoke, old) => return Ok(old.map(GrantRecord::revoked)),
        (ViewsChange::Keep | ViewsChange::Set(_) | ViewsChange::Add(_), Some(grant)) if grant.is_live() => {
            grant
        }
        (ViewsChange::Rekey, Some(grant)) if grant.is_live() => rekeyed(grant, share.key.as_ref())?,
        (ViewsChange::Keep | ViewsChange::Rekey, _) => return Ok(None),
        (ViewsChange::Set(_) | ViewsChange::Add(_), old) => renewed(old, share.key.as_ref())?,
    };
    let gives_views = match share.views {
        ViewsChange::Set(views) => {
            grant.views_left = bounded(views)?;
            true
        }
        ViewsChange::Add(more) => {
            grant.views_left = bounded(added(grant.views_left, more))?;
            true
        }
        ViewsChange::Keep | ViewsChange::Revoke | ViewsChange::Rekey => false,
    };
    grant.expires_at = match (share.lasts_ms, share.expiry) {
        (Some(0), _) => return Err(invalid("a grant cannot end at once")),
        (Some(lasts), _) => Some(now.after(Duration::from_millis(lasts))),
        (None, ExpiryChange::At(at)) if at <= now => return Err(invalid("a grant cannot end in the past")),
        (None, ExpiryChange::At(at)) => Some(at),
        (None, ExpiryChange::Keep) if gives_views => unless_past(grant.expires_at, now),
        (None, ExpiryChange::Keep) => grant.expires_at,
    };
    grant.allow_offline = share.allow_offline.unwrap_or(grant.allow_offline);
    grant.revision += 1;
    Ok(Some(grant.settled()))
}

/// A live grant under another content key: everything but the key stays.
fn rekeyed(grant: GrantRecord, key: Option<&KeyShare>) -> Result<GrantRecord, WireError> {
    let key = key.ok_or_else(|| invalid("a grant under another key needs a key share"))?;
    Ok(GrantRecord { split: key.split, share: Some(key.share), check: key.check, ..grant })
}

/// A grant given for the first time, or anew after it was revoked: with a fresh splitting of the key.
fn renewed(old: Option<GrantRecord>, key: Option<&KeyShare>) -> Result<GrantRecord, WireError> {
    let key = key.ok_or_else(|| invalid("a new grant needs a key share"))?;
    Ok(GrantRecord {
        split: key.split,
        share: Some(key.share),
        views_left: Allowance::Views(0),
        views_used: old.as_ref().map_or(0, |grant| grant.views_used),
        expires_at: None,
        revision: old.as_ref().map_or(0, |grant| grant.revision),
        check: key.check,
        allow_offline: false,
        returned: old.as_ref().map_or(0, |grant| grant.returned),
        granted: None,
    })
}

/// Views given on a grant whose time is over are meant to be used: such an end is lifted.
fn unless_past(expires_at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    expires_at.filter(|end| *end > now)
}

/// More views on top of what is left.
pub(crate) fn added(left: Allowance, more: u32) -> Allowance {
    match left {
        Allowance::Unlimited => Allowance::Unlimited,
        Allowance::Views(views) => Allowance::Views(views.saturating_add(more)),
    }
}

fn bounded(views: Allowance) -> Result<Allowance, WireError> {
    match views {
        Allowance::Views(views) if views > VIEWS_MAX => {
            Err(invalid(format!("a grant has at most {VIEWS_MAX} views, or is unlimited")))
        }
        views => Ok(views),
    }
}

/// Owes the grant as it is now to its viewer, then to its owner, which may have asked for the change and lost the answer.
pub(crate) fn owe_both(grant: &Grant) -> Vec<Owe> {
    let to = |peer| Owe::to(peer, Update::Grant(Box::new(grant.clone())));
    let owner = grant.path.owner;
    vec![to(grant.viewer).caused_by(owner, Cause::Grant), to(owner)]
}

/// The image of these grants has another name or content: every one of them is raised by one revision and owed to both sides, as far
/// as its viewer sees the image.
pub(crate) fn touched(grants: Vec<(Scope, GrantRecord)>) -> Vec<Owe> {
    let raised = visibility::told(grants)
        .into_iter()
        .map(|(scope, grant)| GrantRecord { revision: grant.revision + 1, ..grant }.snapshot(&scope));
    raised.flat_map(|grant| owe_both(&grant)).collect()
}

/// The viewer of these grants is forgotten: the owners learn that the live ones are revoked.
pub(crate) fn viewer_forgotten(grants: Vec<(Scope, GrantRecord)>) -> Vec<Owe> {
    let live = grants.into_iter().filter(|(_, grant)| grant.is_live());
    live.map(|(scope, grant)| {
        let grant = grant.revoked().snapshot(&scope);
        Owe::to(scope.owner(), Update::Grant(Box::new(grant)))
    })
    .collect()
}

/// Whether the counts of a grant fit together: what was granted is what is left and what is used. Of an unlimited grant nothing
/// is left to be counted, and a revoked one has nothing left.
pub(crate) fn sums(grant: &GrantRecord) -> Result<(), String> {
    let expected = grant.clone().settled().granted;
    if grant.share.is_none() && grant.views_left != Allowance::Views(0) {
        return Err("it is revoked and has views left".into());
    }
    if grant.granted == expected {
        return Ok(());
    }
    let number = |number: Option<u64>| number.map_or_else(|| "without a limit".into(), |n| n.to_string());
    Err(format!("{} granted, {} left and used", number(grant.granted), number(expected)))
}

/// What a peer may do with another peer's image, given its grant and the state of its last request for it.
pub(crate) fn access(
    grant: Option<&GrantRecord>,
    last_request: Option<RequestState>,
    now: Timestamp,
) -> Access {
    let requested = match last_request {
        Some(RequestState::Pending) => Some(AccessState::Requested),
        Some(RequestState::Denied) => Some(AccessState::Denied),
        Some(RequestState::Approved | RequestState::Cancelled) | None => None,
    };
    let Some(grant) = grant else {
        let state = requested.unwrap_or(AccessState::None);
        return Access { state, views_left: Allowance::Views(0), expires_at: None, offer: false };
    };
    let state = match (grant.state_at(now), requested) {
        (GrantState::Active, _) => AccessState::Granted,
        (_, Some(AccessState::Requested)) => AccessState::Requested,
        (GrantState::UsedUp, _) => AccessState::UsedUp,
        (GrantState::Expired, _) => AccessState::Expired,
        (GrantState::Revoked, _) => AccessState::Revoked,
    };
    let views_left = if grant.is_live() { grant.views_left } else { Allowance::Views(0) };
    Access { state, views_left, expires_at: grant.expires_at, offer: false }
}

/// A grant as it is now, for its owner or its viewer; another peer does not learn whether there is one.
pub(crate) fn show(caller: PeerId, scope: &Scope, grant: Option<&GrantRecord>) -> Result<Grant, WireError> {
    let is_party = caller == scope.owner() || caller == scope.viewer;
    let grant = grant.filter(|_| is_party && visibility::sees(scope, caller, grant));
    let grant = grant.ok_or_else(missing)?;
    Ok(grant.snapshot(scope))
}

pub(crate) fn missing() -> WireError {
    not_found("there is no such grant")
}

#[cfg(test)]
mod tests;
