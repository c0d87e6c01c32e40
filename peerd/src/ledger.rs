//! Views: bringing together the sealed copy, the owner's share and the directory's, so that each view counts once.
//!
//! What always holds: before the directory is asked to count, the copy is here and verified and the view's ID is
//! durable; a view whose outcome is unknown keeps its ID and is taken up again, so that it is never counted twice; a view
//! that the directory denies leaves nothing behind. Keys exist in memory only while they are used, or in the vault.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, ImageNo, ImagePath, OperationId, PeerId, Reason, SealedHash, Timestamp, WireError,
    control::{Progress, Step},
    directory::{Answer, Checkin, Op, Spend, SpendKind, Spent},
    model::{Allowance, Grant, GrantState},
};
use dos_sealed::{ContentKey, DirectoryShare, OwnerShare};

use crate::{
    cache::Cache,
    copies::Pin,
    directory::{Directory, Repeat, Unanswered, unexpected, unregistered},
    identity::Identities,
    keys::ImageKeys,
    rights::{Grants, Target, denied, find, usable},
    rules::{
        grants::voids_held,
        spend::{Cost, Failure, failure, falls_back_on_held, is_closed},
    },
    shell::quoted,
    source::{Came, Source},
    store::{Held, Live, OpenView, Started},
    vault::EventKind,
};

/// How often a grant may change while it is being used, before that is given up.
const CHANGES_MAX: u32 = 4;

/// Receives how far a transfer is.
pub(crate) type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What views are counted and opened with.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) grants: Grants,
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    /// Where missing copies come from.
    pub(crate) source: Arc<dyn Source>,
    /// Views that live commands own.
    pub(crate) live: Live,
}

/// An original that may be shown now.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Which image.
    pub(crate) path: ImagePath,
    /// Its sealed copy.
    pub(crate) hash: SealedHash,
    /// Its key.
    pub(crate) key: ContentKey,
    /// Views left after this one.
    pub(crate) views_left: Allowance,
    /// What must be closed once it was shown; nothing for one's own image.
    pub(crate) view: Option<OpenView>,
    /// Keeps the copy here.
    pub(crate) _pin: Pin,
}

/// What it takes to open an image, but for the directory's share.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The grant, as it is now.
    pub(crate) grant: Grant,
    /// The owner's share.
    pub(crate) share: OwnerShare,
    /// How the sealed copy or the share came; nothing if both were here.
    pub(crate) came: Option<Came>,
}

/// Opens an image for one view.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(crate) async fn view(
    ledger: &Ledger,
    arg: &ImageArg,
    offline: bool,
    progress: OnProgress<'_>,
) -> Result<Opened, WireError> {
    let known = match find(&ledger.grants, arg).await? {
        Target::Own(image) => {
            let (_, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
            let keys = ImageKeys::open(&identity.vault, &image)?;
            let hash = image.info.sealed.hash;
            return Ok(Opened {
                path: ImagePath { owner: image.info.owner, name: image.info.name },
                hash,
                key: keys.content_key().clone(),
                views_left: Allowance::Unlimited,
                view: None,
                _pin: ledger.cache.copies.pin(hash),
            });
        }
        Target::Other(known) => known,
    };
    if offline {
        return match known {
            Some(grant) => held_view(ledger, &grant).await?.ok_or_else(|| dead(arg, &grant)),
            None => Err(none_held(arg)),
        };
    }
    let outcome = Box::pin(counted_view(ledger, arg, known.clone(), progress)).await;
    match (outcome, known) {
        // Views were checked out for when the directory cannot be reached.
        (Err(error), Some(grant)) if falls_back_on_held(error.code) => {
            held_view(ledger, &grant).await?.ok_or(error)
        }
        (Err(error), Some(grant)) if error.reason == Some(Reason::UsedUp) => {
            let held = ledger.cache.store.held_left(grant.image).await?;
            let hint = format!("dosctl view {} --offline", quoted(arg));
            Err(if held > 0 { error.hint(hint) } else { error })
        }
        (outcome, _) => outcome,
    }
}

/// Why there is no held view to use.
fn dead(arg: &ImageArg, grant: &Grant) -> WireError {
    match grant.state_at(Timestamp::now()) {
        GrantState::Revoked => denied(arg, Reason::Revoked),
        GrantState::Expired => denied(arg, Reason::Expired),
        GrantState::Active | GrantState::UsedUp => none_held(arg),
    }
}

fn none_held(arg: &ImageArg) -> WireError {
    WireError::new(Code::Denied, format!("no views of {arg} are checked out"))
        .hint(format!("dosctl checkout {} --views 1", quoted(arg)))
}

async fn counted_view(
    ledger: &Ledger,
    arg: &ImageArg,
    known: Option<Grant>,
    progress: OnProgress<'_>,
) -> Result<Opened, WireError> {
    let grant = usable(&ledger.grants, arg, known).await?;
    let _pin = ledger.cache.copies.pin(grant.sealed.hash);
    let Ready { grant, share, .. } = ensure(ledger, arg, grant, progress).await?;
    // Together, so that they are one commit.
    let (started, used) = tokio::join!(
        ledger.cache.store.take_view(ledger.live.clone(), grant.image),
        ledger.cache.store.copy_used(grant.sealed.hash)
    );
    let started = started?;
    used?;
    if started.resumed {
        tracing::info!(view = %started.view.id(), "taking up an open view");
    }
    let ready = (grant, Some(share));
    let (spent, key) = spend(ledger, arg, ready, (&started, SpendKind::View), progress).await?;
    let hash = spent.grant.sealed.hash;
    Ok(Opened {
        path: spent.grant.path.clone(),
        hash,
        key,
        views_left: spent.grant.views_left,
        view: Some(started.view),
        _pin: ledger.cache.copies.pin(hash),
    })
}

/// Makes sure that the sealed copy is here and sound, and the owner's share too; the grant may be a newer one then.
///
/// # Errors
/// What hinders it; `denied` if the grant ends meanwhile.
pub(crate) async fn ensure(
    ledger: &Ledger,
    arg: &ImageArg,
    mut grant: Grant,
    progress: OnProgress<'_>,
) -> Result<Ready, WireError> {
    let mut came = None;
    let (me, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
    // A copy that has just arrived was verified on its way.
    let mut fresh = None;
    for _ in 0..CHANGES_MAX {
        let sealed = grant.sealed;
        let share = ledger.cache.store.owner_share(grant.image, grant.split).await?;
        let here = ledger.cache.store.has_copy(sealed.hash).await?;
        if let (Some(share), true) = (share, here) {
            if fresh == Some(sealed.hash) || ledger.cache.copies.is_sound(sealed.hash).await? {
                let share = identity.vault.open(EventKind::OwnerShare, grant.split.as_bytes(), &share)?;
                return Ok(Ready { grant, share: OwnerShare::from_bytes(*share), came });
            }
            tracing::warn!(image = %grant.path, "the sealed copy is damaged; fetching it again");
            ledger.cache.store.forget_copy(sealed.hash).await?;
            ledger.cache.copies.remove(vec![sealed.hash]).await;
        }
        let mut report = |done| progress(Progress { step: Step::Fetching, done, total: sealed.bytes });
        match ledger.source.fetch(&grant, &mut report).await {
            Ok(how) => {
                came = Some(how);
                fresh = (!here).then_some(sealed.hash);
            }
            Err(error) if error.code == Code::Stale => grant = newest(ledger, arg, grant.image, me).await?,
            Err(error) => return Err(error),
        }
    }
    Err(WireError::new(Code::Offline, format!("{arg} changes faster than it can be fetched")))
}

/// The grant as the directory knows it, noted here.
async fn newest(ledger: &Ledger, arg: &ImageArg, image: ImageNo, me: PeerId) -> Result<Grant, WireError> {
    let grant = match ledger.directory.request_again(Op::Grant { image, viewer: me }).await? {
        Answer::Grant(grant) => *grant,
        _ => return Err(unexpected()),
    };
    ledger.cache.take_grant(grant.clone()).await?;
    if grant.revoked { Err(denied(arg, Reason::Revoked)) } else { Ok(grant) }
}

/// A grant, with its owner share if the copy has been ensured just before.
type Prepared = (Grant, Option<OwnerShare>);

/// Has the directory count the view that has started, and joins the key. If nothing was counted, the open view is closed, so that
/// a command that failed does not take effect later.
async fn spend(
    ledger: &Ledger,
    arg: &ImageArg,
    ready: Prepared,
    (started, kind): (&Started, SpendKind),
    progress: OnProgress<'_>,
) -> Result<(Spent, ContentKey), WireError> {
    let (cost, error) = match Box::pin(try_spend(ledger, arg, ready, (started, kind), progress)).await {
        Ok(spent) => return Ok(spent),
        Err(failed) => failed,
    };
    if is_closed(cost, started.resumed) {
        let free = ledger.cache.store.close_view(started.view.id()).await?;
        ledger.cache.copies.remove(free).await;
    }
    Err(match error.reason {
        Some(reason) if cost == Cost::Refused => WireError { message: error.message, ..denied(arg, reason) },
        _ => error,
    })
}

async fn try_spend(
    ledger: &Ledger,
    arg: &ImageArg,
    (mut grant, mut share): Prepared,
    (started, kind): (&Started, SpendKind),
    progress: OnProgress<'_>,
) -> Result<(Spent, ContentKey), (Cost, WireError)> {
    let me = grant.viewer;
    let not_spent = |error| (Cost::NotSpent, error);
    for _ in 0..CHANGES_MAX {
        let (fitting, owner) = match share.take() {
            Some(share) => (grant, share),
            None => {
                let ready = ensure(ledger, arg, grant, progress).await.map_err(not_spent)?;
                (ready.grant, ready.share)
            }
        };
        let spend = Spend {
            image: fitting.image,
            view: started.view.id(),
            views: started.views,
            kind,
            split: fitting.split,
            sealed: fitting.sealed.hash,
        };
        match ledger.directory.request_tracked(Op::Spend(spend)).await {
            Ok(Answer::Spent(spent)) => {
                let counted = |error| (Cost::Unknown, error);
                ledger.cache.take_grant(spent.grant.clone()).await.map_err(counted)?;
                let same = spent.grant.split == fitting.split && spent.grant.sealed == fitting.sealed;
                let owner = if same {
                    owner
                } else {
                    ensure(ledger, arg, spent.grant.clone(), progress).await.map_err(counted)?.share
                };
                let key = ContentKey::join(&owner, &DirectoryShare::from_bytes(spent.share));
                return Ok((*spent, key));
            }
            Ok(_) => return Err((Cost::Unknown, unexpected())),
            Err(Unanswered { error, perhaps_done }) => match failure(error.code, perhaps_done) {
                Failure::Stale => grant = newest(ledger, arg, fitting.image, me).await.map_err(not_spent)?,
                Failure::Failed(cost) => return Err((cost, error)),
            },
        }
    }
    let error =
        WireError::new(Code::Offline, format!("the right to {arg} changes faster than it can be used"));
    Err((Cost::NotSpent, error))
}

/// Opens a held view, if there is one that may be used.
async fn held_view(ledger: &Ledger, grant: &Grant) -> Result<Option<Opened>, WireError> {
    let (_, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
    if voids_held(grant.state_at(Timestamp::now())) {
        let free = ledger.cache.store.destroy_held(grant.image).await?;
        ledger.cache.copies.remove(free).await;
        return Ok(None);
    }
    let Some(held) = ledger.cache.store.take_held(ledger.live.clone(), grant.image).await? else {
        return Ok(None);
    };
    let key = identity.vault.open(EventKind::HeldKey, held.checkout.as_bytes(), &held.key)?;
    let left = ledger.cache.store.held_left(grant.image).await?;
    Ok(Some(Opened {
        path: grant.path.clone(),
        hash: held.hash,
        key: ContentKey::from_bytes(*key),
        views_left: Allowance::Views(left),
        view: Some(held.view),
        _pin: ledger.cache.copies.pin(held.hash),
    }))
}

/// What is held of an image.
#[derive(Debug)]
pub(crate) struct Holding {
    /// Which image.
    pub(crate) path: ImagePath,
    /// Views held here.
    pub(crate) held: u32,
    /// Views left at the directory.
    pub(crate) views_left: Allowance,
}

/// Checks views out.
///
/// # Errors
/// `denied`, `not_found`, `offline`, `invalid` as they apply.
pub(crate) async fn checkout(ledger: &Ledger, arg: &ImageArg, views: u32) -> Result<Holding, WireError> {
    let known = match find(&ledger.grants, arg).await? {
        Target::Own(_) => return Err(WireError::new(Code::Invalid, "one's own images need no checkout")),
        Target::Other(known) => known,
    };
    if views == 0 {
        return Err(WireError::new(Code::Invalid, "a checkout takes at least one view"));
    }
    let grant = usable(&ledger.grants, arg, known).await?;
    let Ready { grant, share, .. } = ensure(ledger, arg, grant, &|_| ()).await?;
    let image = grant.image;
    let started = ledger.cache.store.take_checkout(ledger.live.clone(), image, Some(views)).await?;
    let started = started.ok_or_else(unexpected)?;
    let spent = hold(ledger, arg, (grant, Some(share)), started).await?;
    let held = ledger.cache.store.held_left(image).await?;
    Ok(Holding { path: spent.grant.path, held, views_left: spent.grant.views_left })
}

/// Spends the views of an open checkout and holds them.
async fn hold(
    ledger: &Ledger,
    arg: &ImageArg,
    ready: Prepared,
    started: Started,
) -> Result<Spent, WireError> {
    let (_, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
    let (spent, key) = spend(ledger, arg, ready, (&started, SpendKind::Checkout), &|_| ()).await?;
    let checkout = started.view.id();
    let key = identity.vault.seal(EventKind::HeldKey, checkout.as_bytes(), key.as_bytes())?;
    let held = Held { checkout, image: spent.grant.image, left: started.views, given_up: 0 };
    ledger.cache.store.hold(held, spent.grant.sealed.hash, key).await?;
    Ok(spent)
}

/// Gives every held view of an image back. If the command is `repeated`, there may be none any more.
///
/// # Errors
/// `not_found` if none is held; `offline`.
pub(crate) async fn checkin(ledger: &Ledger, arg: &ImageArg, repeated: bool) -> Result<Holding, WireError> {
    let none = || WireError::new(Code::NotFound, format!("no views of {arg} are checked out"));
    let Target::Other(Some(mut grant)) = find(&ledger.grants, arg).await? else { return Err(none()) };
    ledger.directory.ready().await?;
    let returning = ledger.cache.store.begin_checkin(grant.image).await?;
    if returning.is_empty() && !repeated {
        return Err(none());
    }
    for held in returning {
        if let Some(newer) = give_back(ledger, &held).await? {
            grant = newer;
        }
    }
    Ok(Holding { path: grant.path, held: 0, views_left: grant.views_left })
}

async fn give_back(ledger: &Ledger, held: &Held) -> Result<Option<Grant>, WireError> {
    // Which views are given back does not change once that has begun.
    let again = Repeat::Under(OperationId::from(*held.checkout.as_bytes()));
    let Held { checkout, image, left: unused, given_up } = *held;
    let checkin = Checkin { image, checkout, unused, given_up };
    let grant = match ledger.directory.send(Op::Checkin(checkin), again).await {
        Ok(Answer::Grant(grant)) => {
            ledger.cache.take_grant((*grant).clone()).await?;
            Some(*grant)
        }
        Ok(_) => None,
        // The grant is over: there is nothing to give back to.
        Err(Unanswered { error, .. }) if matches!(error.code, Code::Denied | Code::NotFound) => None,
        Err(Unanswered { error, .. }) => return Err(error),
    };
    let free = ledger.cache.store.finish_checkin(held.checkout).await?;
    ledger.cache.copies.remove(free).await;
    Ok(grant)
}

/// Finishes checkouts and checkins that a crash or a lost connection left open.
///
/// # Errors
/// If the directory cannot be asked.
pub(crate) async fn settle(ledger: &Ledger) -> Result<(), WireError> {
    for held in ledger.cache.store.returning().await? {
        give_back(ledger, &held).await?;
    }
    let (me, _) = ledger.identity.registered().ok_or_else(unregistered)?;
    for image in ledger.cache.store.open_checkouts().await? {
        let Some(grant) = ledger.cache.store.grant(image, me).await? else { continue };
        let owner = Some(dos_protocol::PeerRef::Id(grant.path.owner));
        let arg = ImageArg { owner, name: grant.path.name.clone() };
        while let Some(started) = ledger.cache.store.take_checkout(ledger.live.clone(), image, None).await? {
            match hold(ledger, &arg, (grant.clone(), None), started).await {
                Ok(_) => tracing::info!(image = %grant.path, "finished a checkout"),
                Err(error) if error.code == Code::Denied => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
