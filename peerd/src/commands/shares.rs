//! `shares`: the grants that one has given or received, from the store here, in parts.

use std::sync::Arc;

use dos_protocol::{PeerId, WireError, control::Outcome, model::Grant};

use super::{Piece, Services, Sink};
use crate::directory::unregistered;

/// Reads the store page by page.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(
    services: &Arc<Services>,
    (given, received): (bool, bool),
    sink: &Sink,
) -> Result<Outcome, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    if given {
        send_given(services, me, sink).await?;
    }
    if received {
        send_received(services, me, sink).await?;
    }
    Ok(Outcome::Grants { given: Vec::new(), received: Vec::new(), now: services.store.clock().known() })
}

async fn send_given(services: &Services, me: PeerId, sink: &Sink) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let page = services.store.given(me, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.path.name.clone(), last.viewer, last.image));
        sink.give(part(page, Vec::new())).await?;
    }
}

async fn send_received(services: &Services, me: PeerId, sink: &Sink) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let page = services.store.received(me, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.path.owner, last.path.name.clone(), last.image));
        let listed = services.store.listed(page, services.cache.strangers()).await?;
        sink.give(part(Vec::new(), listed)).await?;
    }
}

fn part(given: Vec<Grant>, received: Vec<Grant>) -> Piece {
    Piece::Part(Box::new(Outcome::Grants { given, received, now: None }))
}
