//! Giving a grant that was promised, of one's own: once, however often that is begun.
//!
//! What always holds: it is given under an operation ID that was written down before, so that the directory does it once; what was in
//! doubt for longer than the directory surely remembers that ID is given only if there is no grant.

use std::time::Duration;

use dos_protocol::{
    Code, ImageNo, OperationId, PeerId, Timestamp, WireError,
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
    model::{Grant, PeerRef},
};

use crate::{
    cache::Cache,
    directory::{Directory, Repeat, unexpected},
    identity::Identity,
    keys::ImageKeys,
    rules::repeats::is_surely_known,
    trust::Trust,
};

/// What it is given with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Giver<'a> {
    pub(crate) cache: &'a Cache,
    pub(crate) directory: &'a dyn Directory,
    pub(crate) trust: &'a Trust,
    pub(crate) identity: &'a Identity,
}

/// A grant that was promised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promised {
    pub(crate) image: ImageNo,
    pub(crate) viewer: PeerId,
    pub(crate) views: ViewsChange,
    /// For how long from when it was begun; for ever, if not said.
    pub(crate) lasts: Option<Duration>,
    pub(crate) allow_offline: Option<bool>,
    pub(crate) operation: OperationId,
    /// When it was begun first.
    pub(crate) begun_at: Timestamp,
    /// It was begun before, and may have been given.
    pub(crate) in_doubt: bool,
}

/// Gives it. `begin` writes down that it is begun, where that was not done before: right before the directory may do it.
///
/// # Errors
/// `not_found` if the image is gone; what the directory refuses; what [`crate::rules::retry::may_come_later`] tells apart.
pub(crate) async fn give(
    giver: Giver<'_>,
    promised: Promised,
    begin: impl Future<Output = Result<(), WireError>>,
) -> Result<(), WireError> {
    let Giver { cache, directory, trust, identity } = giver;
    let Promised { image, viewer, views, lasts, allow_offline, operation, begun_at, in_doubt } = promised;
    if in_doubt && !is_surely_known(begun_at, cache.store.clock().now()) {
        // What it did is there, and what is not there it did not do.
        match directory.request_again(Op::Grant { image, viewer }).await {
            Ok(Answer::Grant(grant)) => return take(cache, *grant).await,
            Ok(_) => return Err(unexpected()),
            Err(error) if error.code == Code::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let gone = || WireError::new(Code::NotFound, "the image is gone");
    let own = cache.store.own_image_no(image).await?.ok_or_else(gone)?;
    // A pinned key stays: if the directory tells another one now, nothing is given.
    let key = trust.contact(viewer).await?.key;
    let key = ImageKeys::open(&identity.vault, &own)?.key_share(image, (viewer, &key))?;
    let share = Share {
        image,
        viewer: PeerRef::Id(viewer),
        views,
        // For a directory of the first release, which does not know how long a grant is to last.
        expiry: lasts.map_or(ExpiryChange::Keep, |time| ExpiryChange::At(begun_at.after(time))),
        key: Some(key),
        lasts_ms: lasts.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        allow_offline,
    };
    begin.await?;
    match directory.send(Op::Share(share), Repeat::Under(operation)).await.map_err(|failed| failed.error)? {
        Answer::Grant(grant) => take(cache, *grant).await,
        _ => Err(unexpected()),
    }
}

async fn take(cache: &Cache, grant: Grant) -> Result<(), WireError> {
    cache.take_grant(Grant { offer: false, ..grant }).await
}
