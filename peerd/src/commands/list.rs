//! `list`: a page of peers and their images.

use std::sync::Arc;

use dos_protocol::{
    PeerRef, WireError,
    control::{ListQuery, Outcome},
    directory::{Answer, List, Op},
    limits::{PAGE_DEFAULT, PAGE_MAX},
    model::PeerInfo,
};

use super::Services;
use crate::directory::{unexpected, unregistered};

/// Asks the directory for a page.
///
/// # Errors
/// `not_found` for an unknown peer; `offline`.
pub(super) async fn run(services: &Arc<Services>, query: ListQuery) -> Result<Outcome, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    let peer = if query.mine { Some(PeerRef::Id(me)) } else { query.peer };
    // Who is or was online when, only the directory knows; and it knows where a page ends.
    let can_be_remembered = !query.online && query.since.is_none() && query.after.is_none();
    if can_be_remembered
        && services.upstream.is_out_of_reach()
        && let Some((peers, at)) = services.remembered.peers(peer.as_ref())
    {
        return Ok(Outcome::Page { peers, next: None, as_of: Some(at) });
    }
    let after = query.after.clone();
    let list = List {
        peer,
        // For a directory of the first release, which does not know the other.
        seen_since: query.since.map(|since| services.store.clock().now().before(since)),
        online: query.online,
        after: query.after,
        limit: query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX),
        seen_within_ms: query.since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
    };
    match services.upstream.request(Op::List(list)).await? {
        Answer::Page(mut page) => {
            services.trust.judge_images(me, &mut page.peers).await?;
            mark_offers(services, &mut page.peers).await?;
            services.remembered.page(&page.peers, after.as_ref(), services.store.clock().now());
            Ok(Outcome::Page { peers: page.peers, next: page.next, as_of: None })
        }
        _ => Err(unexpected()),
    }
}

/// Says which images are offers of strangers; those of strangers that are refused are as if nothing had been granted.
pub(super) async fn mark_offers(services: &Services, peers: &mut [PeerInfo]) -> Result<(), WireError> {
    let owners = peers.iter().filter(|peer| !peer.images.is_empty()).map(|peer| peer.id).collect();
    let (standings, strangers) = (services.store.standings(owners).await?, services.cache.strangers());
    for peer in peers {
        let owner = standings.get(&peer.id).copied().unwrap_or_default();
        for access in peer.images.iter_mut().filter_map(|image| image.access.as_mut()) {
            *access = strangers.shows(owner, *access);
        }
    }
    Ok(())
}
