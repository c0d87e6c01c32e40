//! `netcheck`: what this daemon knows of its own network, and what would help.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{Netcheck, Outcome},
    directory::Op,
    model::{Address, PeerRef},
};
use tokio::time::Instant;

use super::Services;
use crate::{
    addresses::announced,
    rules::advice::{Here, for_all},
};

/// Looks.
///
/// # Errors
/// None; the type is that of every command.
pub(super) async fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let (_, netcheck) = look(services).await;
    Ok(Outcome::Netcheck(Box::new(netcheck)))
}

/// What is known of this side.
pub(super) async fn look(services: &Arc<Services>) -> (Here, Netcheck) {
    let config = &services.config;
    let session = services.upstream.status().borrow().clone();
    let here = Here {
        state: session.state,
        is_reachable: config.reachable,
        local: services.upstream.session_address().map(Address),
        seen: session.mapped,
        is_forwarded: services.mapped.borrow().address.is_some(),
    };
    let mapping = services.mapped.borrow().clone();
    let identity = services.identity.registered();
    let announced = identity
        .as_ref()
        .map(|(_, identity)| announced(config, (services.listen, mapping.address), &identity.server).1);
    let round_trip_us = match identity {
        Some((id, _)) if services.upstream.is_online() => {
            let begun = Instant::now();
            let asked = services.upstream.request(Op::Resolve(PeerRef::Id(id))).await;
            asked.ok().and_then(|_| u64::try_from(begun.elapsed().as_micros()).ok())
        }
        _ => None,
    };
    let netcheck = Netcheck {
        state: here.state,
        directory: services.upstream.directory().map(Address),
        round_trip_us,
        listen: Address(services.listen),
        reachable: here.is_reachable,
        announced: announced.unwrap_or_default(),
        local: here.local,
        seen: here.seen,
        advice: for_all(here),
        mapped: mapping.address,
        mapping_trouble: mapping.trouble,
        pinhole: mapping.pinhole,
    };
    (here, netcheck)
}
