//! Views that are held for use without the directory: checked out, shown, given back.
//!
//! What always holds: a held view is counted down, durably, before its first byte is given out; what was counted down is neither
//! shown again nor given back. Held views are destroyed by the directory's revocation alone. While a grant has expired at the
//! directory, as far as is known here, its held views are not shown, and kept.

use dos_protocol::{
    Code, ImageArg, ImagePath, OperationId, Reason, WireError,
    control::Spends,
    directory::{Answer, Checkin, Op, SpendKind, Spent},
    model::{Allowance, Grant, GrantState},
};
use dos_sealed::ContentKey;

use super::{
    CHANGES_MAX, Caller, Ledger, NoCaller, Opened, Prepared, Ready, ensure, newest, open, opened, spend,
};
use crate::{
    directory::{Repeat, Unanswered, unexpected, unregistered},
    rights::{Target, denied, find, usable},
    rules::grants::bars_held,
    shell::quoted,
    store::{Held, Started},
    vault::EventKind,
};

/// Opens a held view, if there is one that may be shown.
///
/// # Errors
/// `invalid` if the copy is damaged; then nothing is counted.
pub(super) async fn view(
    ledger: &Ledger,
    arg: &ImageArg,
    grant: &Grant,
    caller: &dyn Caller,
) -> Result<Option<Opened>, WireError> {
    let (_, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
    let store = &ledger.cache.store;
    if bars_held(grant.state_at(store.clock().at_least())) {
        return Ok(None);
    }
    for _ in 0..CHANGES_MAX {
        let Some(held) = store.next_held(grant.image).await? else { return Ok(None) };
        let _pin = ledger.cache.copies.pin(held.hash);
        if !ledger.cache.copies.is_sound(held.hash).await? {
            let text = format!("the sealed copy of {arg} is damaged; no view was used");
            return Err(WireError::new(Code::Invalid, text).hint(format!("dosctl fetch {}", quoted(arg))));
        }
        let key = identity.vault.open(EventKind::HeldKey, held.checkout.as_bytes(), &held.key)?;
        let original = open(ledger, held.hash, &ContentKey::from_bytes(*key)).await?;
        let left = store.held_left(grant.image).await?;
        caller.ready(original.plain_len(), Some(Spends { left: Allowance::Views(left) })).await?;
        caller.closing();
        // Another command may have used or returned the last one meanwhile.
        let Some(used) = store.use_held(held.checkout).await? else { continue };
        ledger.cache.copies.remove(used.free).await;
        let (path, views_left) = (grant.path.clone(), Allowance::Views(used.left));
        return Ok(Some(Opened { path, original, views_left, is_granted: true }));
    }
    Ok(None)
}

/// Why there is no held view to show.
pub(super) fn dead(ledger: &Ledger, arg: &ImageArg, grant: &Grant) -> WireError {
    match grant.state_at(ledger.cache.store.clock().at_least()) {
        GrantState::Revoked => denied(arg, Reason::Revoked),
        GrantState::Expired => denied(arg, Reason::Expired),
        GrantState::Active | GrantState::UsedUp => none(arg),
    }
}

/// There is no held view.
pub(super) fn none(arg: &ImageArg) -> WireError {
    WireError::new(Code::Denied, format!("no views of {arg} are checked out"))
        .hint(format!("dosctl checkout {} --views 1", quoted(arg)))
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
        Target::Other(known) => known.map(|grant| *grant),
    };
    if views == 0 {
        return Err(WireError::new(Code::Invalid, "a checkout takes at least one view"));
    }
    let mut grant = usable(&ledger.grants, arg, known).await?;
    if !grant.allow_offline {
        // It may have been allowed just now.
        grant = newest(ledger, arg, grant.image, grant.viewer).await?;
    }
    if !grant.allow_offline {
        return Err(denied(arg, Reason::NotOffline));
    }
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
    let (spent, key) = spend(ledger, arg, ready, (&started, SpendKind::Checkout), &NoCaller).await?;
    opened(ledger, arg, &spent.grant, &key).await?;
    let checkout = started.view.id();
    let key = identity.vault.seal(EventKind::HeldKey, checkout.as_bytes(), key.as_bytes())?;
    let held = Held { checkout, image: spent.grant.image, left: started.views, given_up: 0 };
    // Together, so that they are one commit.
    let (noted, is_held) = tokio::join!(
        ledger.cache.take_grant(spent.grant.clone()),
        ledger.cache.store.hold(held, spent.grant.sealed.hash, key)
    );
    noted?;
    if !is_held? {
        return Err(denied(arg, Reason::Revoked));
    }
    ledger.closings.notify_one();
    Ok(spent)
}

/// Gives every held view of an image back. If the command is `repeated`, there may be none any more.
///
/// # Errors
/// `not_found` if none is held; `offline`.
pub(crate) async fn checkin(ledger: &Ledger, arg: &ImageArg, repeated: bool) -> Result<Holding, WireError> {
    let none = || WireError::new(Code::NotFound, format!("no views of {arg} are checked out"));
    let Target::Other(Some(grant)) = find(&ledger.grants, arg).await? else { return Err(none()) };
    let mut grant = *grant;
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
    let checkin =
        Checkin { image: held.image, checkout: held.checkout, unused: held.left, given_up: held.given_up };
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
                // What is not over by that stays open until the next round; the other images do not wait for it.
                Err(error) if matches!(error.code, Code::Denied | Code::Invalid) => {
                    tracing::info!(error = %error.message, image = %grant.path, "a checkout is not finished");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
