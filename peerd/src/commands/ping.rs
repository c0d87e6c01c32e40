//! `ping`: which way leads to a peer, and how long it takes there and back; or what came of every way.

use std::sync::Arc;

use dos_protocol::{
    Code, PeerRef, WireError,
    control::{Explained, Outcome},
    directory::Contact,
    frame::Reader,
    limits::PEER_PINGS,
    model::PeerInfo,
};
use tokio::time::{Instant, timeout};

use super::{Services, netcheck::look, resolve::resolve};
use crate::{
    blocks,
    directory::unregistered,
    identity::Identity,
    peer::{
        dial::dial,
        explain::{EXPLORE_TIME_MAX, Explored, explore},
        ping::round_trip,
    },
    rules::advice::{There, for_one},
};

/// Connects as a transfer would, and measures.
///
/// # Errors
/// `not_found`; `offline` if no way leads to it; `timeout`.
pub(super) async fn run(services: &Arc<Services>, peer: PeerRef) -> Result<Outcome, WireError> {
    let asked = Instant::now();
    let (identity, peer, contact) = find(services, peer).await?;
    let dialed = Box::pin(dial(&services.peers, &identity, (&contact, asked.elapsed()))).await?;
    let route = dialed.route;
    let round_trip = round_trip(&mut Reader::new(dialed.stream), PEER_PINGS).await?;
    let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
    let (way, how) = (route.way(), route.how());
    Ok(Outcome::Pong { id: peer.id, name: peer.name, way, round_trip_us, how })
}

/// Tries every way to its end, and says what came of each and what would help.
///
/// # Errors
/// `not_found`; `timeout`.
pub(super) async fn explain(services: &Arc<Services>, peer: PeerRef) -> Result<Outcome, WireError> {
    let (identity, peer, contact) = find(services, peer).await?;
    let (here, netcheck) = look(services).await;
    let there = There { is_online: contact.online, meets: contact.rendezvous, relays: contact.relay };
    let Explored { tried, best } = if contact.online {
        let exploring = Box::pin(explore(&services.peers, &identity, &contact));
        let late = |_| WireError::new(Code::Timeout, "not every way was tried to its end in time");
        timeout(EXPLORE_TIME_MAX, exploring).await.map_err(late)?
    } else {
        Explored { tried: Vec::new(), best: None }
    };
    let round_trip = match best {
        Some(stream) => round_trip(&mut Reader::new(stream), PEER_PINGS).await.ok(),
        None => None,
    };
    Ok(Outcome::Explained(Box::new(Explained {
        id: peer.id,
        name: peer.name,
        online: contact.online,
        round_trip_us: round_trip.and_then(|time| u64::try_from(time.as_micros()).ok()),
        advice: for_one(here, there, &tried),
        tried,
        here: netcheck,
    })))
}

/// The peer, and what it takes to reach it.
async fn find(
    services: &Arc<Services>,
    peer: PeerRef,
) -> Result<(Arc<Identity>, PeerInfo, Contact), WireError> {
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let peer = resolve(services, peer).await?;
    if peer.id == me {
        return Err(WireError::new(Code::Invalid, "that is this peer itself"));
    }
    blocks::check(&services.store, peer.id, peer.name.as_ref()).await?;
    let contact = services.trust.look(peer.id).await?;
    Ok((identity, peer, contact))
}
