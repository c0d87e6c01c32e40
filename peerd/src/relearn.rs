//! Relearning from the directory what was lost here: on a new machine whose key came with its password, or after the state
//! directory was restored from an old backup, which shows when the directory has forgotten updates that are not here.
//!
//! What always holds: what the directory does not report any more is given up only if it was known before the directory was
//! asked and has not changed since, so that updates that come in meanwhile are never undone. It begins anew after a crash, until it is done.
//! It brings back grants and requests, never originals, keys or views that were checked out.

use std::sync::Arc;

use dos_protocol::{
    PeerRef, WireError,
    directory::{Answer, Cursor, List, Op},
    limits::PAGE_MAX,
    model::Grant,
};
use tokio::sync::Semaphore;

use crate::{
    cache::Cache,
    directory::{Directory, unexpected, unregistered},
    grant_pages::GrantPages,
    identity::Identities,
    requests::Requests,
    store::Inventory,
};

/// What relearning works with.
#[derive(Debug)]
pub(crate) struct Relearning {
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) requests: Requests,
    /// One at a time.
    pub(crate) turn: Semaphore,
}

/// Relearns, if something was lost.
///
/// # Errors
/// If the directory cannot be asked, or the store fails; what was relearned until then stays.
pub(crate) async fn run(relearning: &Relearning) -> Result<(), WireError> {
    if !relearning.cache.store.has_lost().await? {
        return Ok(());
    }
    let turn = relearning.turn.acquire().await;
    if turn.is_err() || !relearning.cache.store.has_lost().await? {
        return Ok(());
    }
    let mut known = relearning.cache.store.inventory().await?;
    let mut reported = 0;
    let mut grants = GrantPages::all();
    while let Some(page) = grants.next(&*relearning.directory).await? {
        reported += page.len();
        take_grants(relearning, page, &mut known).await?;
    }
    take_requests(relearning, &mut known).await?;
    take_images(relearning, &mut known).await?;
    let free = relearning.cache.store.relearned(known).await?;
    relearning.cache.copies.remove(free).await;
    relearning.requests.recount().await?;
    tracing::info!(grants = reported, "relearned from the directory what was lost here");
    Ok(())
}

async fn take_grants(
    relearning: &Relearning,
    page: Vec<Grant>,
    known: &mut Inventory,
) -> Result<(), WireError> {
    for grant in &page {
        known.grants.remove(&(grant.image, grant.viewer));
    }
    let free = relearning.cache.store.take_grants(page.clone()).await?;
    relearning.cache.copies.remove(free).await;
    let (me, _) = relearning.identity.registered().ok_or_else(unregistered)?;
    if page.iter().any(|grant| grant.viewer == me && !grant.revoked) {
        relearning.cache.look();
    }
    Ok(())
}

async fn take_requests(relearning: &Relearning, known: &mut Inventory) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let Answer::Requests { requests, more } =
            relearning.directory.request_again(Op::Requests { after }).await?
        else {
            return Err(unexpected());
        };
        after = requests.last().map(|request| request.request);
        for request in &requests {
            known.requests.remove(&request.request);
        }
        relearning.cache.store.take_requests(requests).await?;
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

/// Follows renamings of one's own images, and finds those whose content was replaced since what is here was written.
async fn take_images(relearning: &Relearning, known: &mut Inventory) -> Result<(), WireError> {
    if known.images.is_empty() {
        return Ok(());
    }
    let (me, _) = relearning.identity.registered().ok_or_else(unregistered)?;
    let mut after: Option<Cursor> = None;
    loop {
        let peer = Some(PeerRef::Id(me));
        let list =
            List { peer, seen_since: None, online: false, after, limit: PAGE_MAX, seen_within_ms: None };
        let Answer::Page(page) = relearning.directory.request_again(Op::List(list)).await? else {
            return Err(unexpected());
        };
        for image in page.peers.into_iter().flat_map(|peer| peer.images) {
            match known.images.get(&image.no).copied() {
                Some(hash) if hash == image.sealed.hash => relearning.cache.store.rename_image(image).await?,
                Some(hash) => known.outdated.push((image.no, hash)),
                None => {}
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
