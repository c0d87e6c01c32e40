//! Views: bringing together the sealed copy, the owner's share and the directory's, so that each view counts once.
//!
//! What always holds: before the directory is asked to count, the copy and the owner's share are here and verified, the caller has
//! room for the original, and the view's ID is durable; the view is closed, durably, before the first byte of the original is
//! given out, so that it is given once. A view whose outcome is unknown keeps its ID and is taken up again, and so is one whose key
//! does not open the copy; a view that the directory denies leaves nothing behind. Keys exist in memory only while they are used,
//! or in the vault. Views that are held are in [`held`].

mod closed;
mod held;

use std::{
    fs::File,
    io::{self, BufRead},
    sync::Arc,
};

use dos_protocol::{
    Code, ImageArg, ImageNo, ImagePath, PeerId, Reason, SealedHash, WireError,
    control::{Progress, Spends, Step},
    directory::{Answer, Op, Spend, SpendKind, Spent},
    model::{Allowance, Grant},
};
use dos_sealed::{ContentKey, DirectoryShare, Opener, OwnerShare, plain_len_of};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use zeroize::Zeroize as _;

pub(crate) use closed::report_closed;
pub(crate) use held::{Holding, checkin, checkout, settle};

use crate::{
    cache::Cache,
    copies::blocking,
    directory::{Directory, Unanswered, unexpected, unregistered},
    identity::Identities,
    keys::{ImageKeys, is_share_of},
    rights::{Grants, Target, denied, find, usable},
    rules::spend::{Cost, Failure, failure, falls_back_on_held, is_closed},
    shell::quoted,
    source::{Came, Source},
    store::{Live, OwnImage, Started},
    vault::EventKind,
};

/// How often a grant may change while it is being used, before that is given up.
const CHANGES_MAX: u32 = 4;

/// Receives how far a transfer is.
pub(crate) type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// For whom an original is opened.
pub(crate) trait Caller: Send + Sync {
    /// How far a transfer is.
    fn progress(&self, progress: Progress);

    /// This many bytes will come, for a view of what is said. Returns when there is room for them; nothing is spent before.
    ///
    /// # Errors
    /// If there is none, the caller does not want it at that price, or is gone.
    fn ready(&self, bytes: u64, spends: Option<Spends>) -> BoxFuture<'_, Result<(), WireError>>;

    /// The view is closed now: whoever gives it up from here on loses it.
    fn closing(&self) {}
}

/// Nobody: of a checkout nothing is given out.
struct NoCaller;

impl Caller for NoCaller {
    fn progress(&self, _: Progress) {}

    fn ready(&self, _: u64, _: Option<Spends>) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(async { Ok(()) })
    }
}

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
    /// There are closed views of which the directory does not know it.
    pub(crate) closings: Notify,
}

/// An original that may be given out, once: its view is over.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Which image.
    pub(crate) path: ImagePath,
    /// Its bytes.
    pub(crate) original: Opener<File>,
    /// Views left after this one.
    pub(crate) views_left: Allowance,
    /// Whether it is another peer's, under a grant.
    pub(crate) is_granted: bool,
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
    caller: &dyn Caller,
) -> Result<Opened, WireError> {
    let known = match find(&ledger.grants, arg).await? {
        Target::Own(image) => return own_view(ledger, *image, caller).await,
        Target::Other(known) => known.map(|grant| *grant),
    };
    if offline {
        return match known {
            Some(grant) => {
                held::view(ledger, arg, &grant, caller).await?.ok_or_else(|| held::dead(ledger, arg, &grant))
            }
            None => Err(held::none(arg)),
        };
    }
    let outcome = Box::pin(counted_view(ledger, arg, known.clone(), caller)).await;
    match (outcome, known) {
        // Views were checked out for when the directory cannot be reached.
        (Err(error), Some(grant)) if falls_back_on_held(error.code) => {
            held::view(ledger, arg, &grant, caller).await?.ok_or(error)
        }
        (Err(error), Some(grant)) if error.reason == Some(Reason::UsedUp) => {
            let held = ledger.cache.store.held_left(grant.image).await?;
            let hint = format!("dosctl view {} --offline", quoted(arg));
            Err(if held > 0 { error.hint(hint) } else { error })
        }
        (outcome, _) => outcome,
    }
}

async fn own_view(ledger: &Ledger, image: OwnImage, caller: &dyn Caller) -> Result<Opened, WireError> {
    let (_, identity) = ledger.identity.registered().ok_or_else(unregistered)?;
    let keys = ImageKeys::open(&identity.vault, &image)?;
    let original = open(ledger, image.info.sealed.hash, keys.content_key()).await?;
    caller.ready(original.plain_len(), None).await?;
    Ok(Opened {
        path: ImagePath { owner: image.info.owner, name: image.info.name },
        original,
        views_left: Allowance::Unlimited,
        is_granted: false,
    })
}

async fn counted_view(
    ledger: &Ledger,
    arg: &ImageArg,
    known: Option<Grant>,
    caller: &dyn Caller,
) -> Result<Opened, WireError> {
    let grant = usable(&ledger.grants, arg, known).await?;
    let _pin = ledger.cache.copies.pin(grant.sealed.hash);
    let Ready { mut grant, share, .. } = prepare(ledger, arg, grant, caller).await?;
    let mut share = Some(share);
    for _ in 0..CHANGES_MAX {
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
        let ready = (grant.clone(), share.take());
        match spend(ledger, arg, ready, (&started, SpendKind::View), caller).await {
            Ok((spent, key)) => return close(ledger, arg, spent, (&started, &key), caller).await,
            // Known as open only here, where an old state has come back: it was shown, and this is another one.
            Err(error) if started.resumed && error.reason == Some(Reason::ViewClosed) => {
                grant = newest(ledger, arg, grant.image, grant.viewer).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(changing(arg))
}

/// Verifies that the key opens the copy, and closes the view: from here on the picture may be given out, once. If the key does not
/// open it, the view stays open, so that it can be shown once the shares are the right ones.
async fn close(
    ledger: &Ledger,
    arg: &ImageArg,
    Spent { grant, .. }: Spent,
    (started, key): (&Started, &ContentKey),
    caller: &dyn Caller,
) -> Result<Opened, WireError> {
    let original = opened(ledger, arg, &grant, key).await?;
    caller.closing();
    // Together, so that they are one commit.
    let (noted, closed) = tokio::join!(
        ledger.cache.take_grant(grant.clone()),
        ledger.cache.store.close_view(started.view.id())
    );
    noted?;
    if !closed? {
        return Err(denied(arg, Reason::Revoked));
    }
    ledger.closings.notify_one();
    Ok(Opened { path: grant.path, original, views_left: grant.views_left, is_granted: true })
}

/// The original of a view that was spent, if its key opens the copy. If it does not, the grant is noted here; otherwise the caller
/// notes it, in the commit that settles the view.
async fn opened(
    ledger: &Ledger,
    arg: &ImageArg,
    grant: &Grant,
    key: &ContentKey,
) -> Result<Opener<File>, WireError> {
    let error = match open(ledger, grant.sealed.hash, key).await {
        Ok(original) => return Ok(original),
        Err(error) => error,
    };
    ledger.cache.take_grant(grant.clone()).await?;
    if grant.check.is_none() {
        // It may be the owner's share that is wrong: the next view asks for it again.
        ledger.cache.store.forget_share(grant.image).await?;
    }
    let text =
        format!("the key of {arg} does not open its copy; the view stays open and is not counted again");
    let cause = error.cause.unwrap_or(error.message);
    Err(WireError::new(Code::Invalid, text).caused_by(cause).hint(format!("dosctl view {}", quoted(arg))))
}

/// Opens a copy, and its first and its last chunk.
async fn open(ledger: &Ledger, hash: SealedHash, key: &ContentKey) -> Result<Opener<File>, WireError> {
    let (path, key) = (ledger.cache.copies.path(&hash), key.clone());
    let opening = move || {
        let mut original = Opener::new(File::open(path)?, &key)?;
        original.fill_buf()?;
        Ok::<_, io::Error>(original)
    };
    blocking(opening).await?.map_err(|error| {
        WireError::new(Code::Invalid, "the sealed copy does not open").caused_by(error.to_string())
    })
}

/// As [`ensure`], and then tells the caller how many bytes will come.
async fn prepare(
    ledger: &Ledger,
    arg: &ImageArg,
    grant: Grant,
    caller: &dyn Caller,
) -> Result<Ready, WireError> {
    let ready = ensure(ledger, arg, grant, &|progress| caller.progress(progress)).await?;
    let path = ledger.cache.copies.path(&ready.grant.sealed.hash);
    let bytes = blocking(move || Ok::<_, io::Error>(plain_len_of(&mut File::open(path)?)?)).await?;
    let bytes = bytes.map_err(|error| {
        let text = format!("the sealed copy of {arg} is none");
        WireError::new(Code::Invalid, text).caused_by(error.to_string())
    })?;
    caller.ready(bytes, Some(Spends { left: ready.grant.views_left })).await?;
    Ok(ready)
}

/// Makes sure that the sealed copy is here and sound, and the owner's share too, which is the grant's as far as its owner has said;
/// the grant may be a newer one then.
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
                let share = OwnerShare::from_bytes(*share);
                if is_share_of(&grant, &share) {
                    return Ok(Ready { grant, share, came });
                }
                tracing::warn!(image = %grant.path, "the owner's share is not the grant's; fetching it again");
                ledger.cache.store.forget_share(grant.image).await?;
            } else {
                tracing::warn!(image = %grant.path, "the sealed copy is damaged; fetching it again");
                ledger.cache.store.forget_copy(sealed.hash).await?;
                ledger.cache.copies.remove(vec![sealed.hash]).await;
            }
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

fn changing(arg: &ImageArg) -> WireError {
    WireError::new(Code::Offline, format!("the right to {arg} changes faster than it can be used"))
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

/// Has the directory count the view that has started, and joins the key. The grant that comes back is the caller's to note. If
/// nothing was counted, the open view is closed, so that a command that failed does not take effect later.
async fn spend(
    ledger: &Ledger,
    arg: &ImageArg,
    ready: Prepared,
    (started, kind): (&Started, SpendKind),
    caller: &dyn Caller,
) -> Result<(Spent, ContentKey), WireError> {
    let (cost, error) = match Box::pin(try_spend(ledger, arg, ready, (started, kind), caller)).await {
        Ok(spent) => return Ok(spent),
        Err(failed) => failed,
    };
    if is_closed(cost, started.resumed) {
        ledger.cache.store.give_up_view(started.view.id()).await?;
    }
    Err(match error.reason {
        Some(Reason::ViewClosed) => error,
        Some(reason) if cost == Cost::Refused => WireError { message: error.message, ..denied(arg, reason) },
        _ => error,
    })
}

async fn try_spend(
    ledger: &Ledger,
    arg: &ImageArg,
    (mut grant, mut share): Prepared,
    (started, kind): (&Started, SpendKind),
    caller: &dyn Caller,
) -> Result<(Spent, ContentKey), (Cost, WireError)> {
    let me = grant.viewer;
    let not_spent = |error| (Cost::NotSpent, error);
    for _ in 0..CHANGES_MAX {
        let (fitting, owner) = match share.take() {
            Some(share) => (grant, share),
            None => {
                let ready = prepare(ledger, arg, grant, caller).await.map_err(not_spent)?;
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
            Ok(Answer::Spent(mut spent)) => {
                let counted = |error| (Cost::Unknown, error);
                let same = spent.grant.split == fitting.split && spent.grant.sealed == fitting.sealed;
                let owner = if same {
                    owner
                } else {
                    ledger.cache.take_grant(spent.grant.clone()).await.map_err(counted)?;
                    prepare(ledger, arg, spent.grant.clone(), caller).await.map_err(counted)?.share
                };
                let key = ContentKey::join(&owner, &DirectoryShare::from_bytes(spent.share));
                spent.share.zeroize();
                return Ok((*spent, key));
            }
            Ok(_) => return Err((Cost::Unknown, unexpected())),
            Err(Unanswered { error, perhaps_done }) => match failure(error.code, perhaps_done) {
                Failure::Stale => grant = newest(ledger, arg, fitting.image, me).await.map_err(not_spent)?,
                Failure::Failed(cost) => return Err((cost, error)),
            },
        }
    }
    Err((Cost::NotSpent, changing(arg)))
}

#[cfg(test)]
mod tests;
