//! `list`: a page of peers and their images.

use std::sync::Arc;

use dos_protocol::{
    PeerRef, Timestamp, WireError,
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
        && let Some((mut peers, at)) = remembered(services, peer.as_ref()).await?
    {
        if let Some(limit) = query.limit {
            cut(&mut peers, usize::try_from(limit).unwrap_or(usize::MAX));
        }
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

/// What was shown last, with contacts under the names that they have now: a name can have changed since.
async fn remembered(
    services: &Services,
    peer: Option<&PeerRef>,
) -> Result<Option<(Vec<PeerInfo>, Timestamp)>, WireError> {
    let contact = match peer {
        Some(PeerRef::Name(name)) => match services.store.pin_by_name(name.clone()).await? {
            Some(pin) => Some(pin.contact.id),
            None => services.store.named_last(name.clone()).await?,
        },
        _ => None,
    };
    let contact = contact.map(PeerRef::Id);
    let Some((mut peers, at)) = services.remembered.peers(contact.as_ref().or(peer)) else { return Ok(None) };
    let names = services.store.names_of(peers.iter().map(|peer| peer.id).collect()).await?;
    for peer in &mut peers {
        if let Some(name) = names.get(&peer.id) {
            peer.name = Some(name.clone());
        }
    }
    peers.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    Ok(Some((peers, at)))
}

/// Leaves so many images; a peer without any counts as one.
fn cut(peers: &mut Vec<PeerInfo>, limit: usize) {
    let mut left = limit;
    peers.retain_mut(|peer| {
        let stays = left > 0;
        peer.images.truncate(left);
        left = left.saturating_sub(peer.images.len().max(1));
        stays
    });
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
