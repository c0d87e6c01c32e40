//! Relearning from the directory what was lost here: on a new machine whose ID came with its password, or after the state
//! directory was restored from an old backup, which shows when the directory has forgotten updates that are not here.
//!
//! What always holds: what is not told any more is given up only if it was known before the asking began and has not
//! changed since, so that updates that come in meanwhile are never undone. It begins anew after a crash, until it is done.
//! It brings back rights and requests, never originals, keys or views that were taken along.

use std::sync::Arc;

use dos_protocol::{
    ImageNo, PeerId, PeerRef, WireError,
    directory::{Answer, Cursor, List, Op},
    limits::PAGE_MAX,
    model::Grant,
};

use crate::{
    Core,
    store::Inventory,
    upstream::{unexpected, unregistered},
};

/// Pages of rights, as the directory knows them.
#[derive(Debug)]
pub(crate) struct Rights {
    after: Option<(ImageNo, PeerId)>,
    image: Option<ImageNo>,
    done: bool,
}

impl Rights {
    /// All of them.
    fn all() -> Self {
        Self { after: None, image: None, done: false }
    }

    /// Those to one image of one's own.
    pub(crate) fn of(image: ImageNo) -> Self {
        let before = ImageNo(image.0.saturating_sub(1));
        let after = last_peer().map(|last| (before, last));
        Self { after, image: Some(image), done: false }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// If the directory cannot be asked.
    pub(crate) async fn next(&mut self, core: &Core) -> Result<Option<Vec<Grant>>, WireError> {
        if self.done {
            return Ok(None);
        }
        match core.upstream.request_again(Op::Grants { after: self.after }).await? {
            Answer::Grants { mut grants, more } => {
                self.after = grants.last().map(|grant| (grant.image, grant.viewer));
                let beyond = |grant: &Grant| self.image.is_some_and(|image| grant.image > image);
                self.done = !more || self.after.is_none() || grants.last().is_some_and(beyond);
                grants.retain(|grant| self.image.is_none_or(|image| grant.image == image));
                Ok(Some(grants))
            }
            _ => Err(unexpected()),
        }
    }
}

/// The last ID that there can be.
fn last_peer() -> Option<PeerId> {
    (0..PeerId::COUNT).rev().find_map(PeerId::from_number)
}

/// Relearns, if something was lost.
///
/// # Errors
/// If the directory cannot be asked, or the store fails; what was relearned until then stays.
pub(crate) async fn run(core: &Arc<Core>) -> Result<(), WireError> {
    if !core.store.has_lost().await? {
        return Ok(());
    }
    let turn = core.relearning.acquire().await;
    if turn.is_err() || !core.store.has_lost().await? {
        return Ok(());
    }
    let mut known = core.store.inventory().await?;
    let mut told = 0;
    let mut rights = Rights::all();
    while let Some(page) = rights.next(core).await? {
        told += page.len();
        take_rights(core, page, &mut known).await?;
    }
    take_requests(core, &mut known).await?;
    take_images(core, &mut known).await?;
    let free = core.store.relearned(known).await?;
    core.copies.remove(free).await;
    core.recount_requests().await?;
    tracing::info!(rights = told, "relearned from the directory what was lost here");
    Ok(())
}

async fn take_rights(core: &Core, page: Vec<Grant>, known: &mut Inventory) -> Result<(), WireError> {
    for grant in &page {
        known.grants.remove(&(grant.image, grant.viewer));
    }
    let free = core.store.take_grants(page.clone()).await?;
    core.copies.remove(free).await;
    let (me, _) = core.identity.registered().ok_or_else(unregistered)?;
    for grant in page.into_iter().filter(|grant| grant.viewer == me && !grant.revoked) {
        core.chores.arrived(grant);
    }
    Ok(())
}

async fn take_requests(core: &Core, known: &mut Inventory) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let Answer::Requests { requests: asks, more } =
            core.upstream.request_again(Op::Requests { after }).await?
        else {
            return Err(unexpected());
        };
        after = asks.last().map(|asked| asked.request);
        for asked in &asks {
            known.requests.remove(&asked.request);
        }
        core.store.take_requests(asks).await?;
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

/// Follows renamings of one's own images, and finds those whose content was replaced since what is here was written.
async fn take_images(core: &Core, known: &mut Inventory) -> Result<(), WireError> {
    if known.images.is_empty() {
        return Ok(());
    }
    let (me, _) = core.identity.registered().ok_or_else(unregistered)?;
    let mut after: Option<Cursor> = None;
    loop {
        let peer = Some(PeerRef::Id(me));
        let list = List { peer, seen_since: None, online: false, after, limit: PAGE_MAX };
        let Answer::Page(page) = core.upstream.request_again(Op::List(list)).await? else {
            return Err(unexpected());
        };
        for image in page.peers.into_iter().flat_map(|peer| peer.images) {
            match known.images.get(&image.no).copied() {
                Some(hash) if hash == image.sealed.hash => core.store.rename_image(image).await?,
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
