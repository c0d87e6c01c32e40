//! `ping`: which way leads to a peer, and how long it takes there and back.

use std::sync::Arc;

use dos_protocol::{Code, PeerRef, WireError, control::Outcome, frame::Reader, limits::PEER_PINGS};

use super::{Services, resolve::resolve};
use crate::{
    blocks,
    directory::unregistered,
    peer::{dial::dial, ping::round_trip},
};

/// Connects as a transfer would, and measures.
///
/// # Errors
/// `not_found`; `offline` if no way leads to it; `timeout`.
pub(super) async fn run(services: &Arc<Services>, peer: PeerRef) -> Result<Outcome, WireError> {
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let peer = resolve(services, peer).await?;
    if peer.id == me {
        return Err(WireError::new(Code::Invalid, "that is this peer itself"));
    }
    blocks::check(&services.store, peer.id, peer.name.as_ref()).await?;
    let contact = services.trust.look(peer.id).await?;
    let dialed = Box::pin(dial(&services.peers, &identity, &contact)).await?;
    let route = dialed.route;
    let round_trip = round_trip(&mut Reader::new(dialed.stream), PEER_PINGS).await?;
    let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
    let (way, how) = (route.way(), route.how());
    Ok(Outcome::Pong { id: peer.id, name: peer.name, way, round_trip_us, how })
}
