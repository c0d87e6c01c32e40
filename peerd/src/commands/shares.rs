//! `shares`: the grants that one has given or received, from the store here, in parts.

use std::{pin::pin, sync::Arc};

use dos_protocol::{
    Code, PeerId, WireError,
    control::Outcome,
    directory::{Answer, Op},
    model::Grant,
};
use futures_util::{StreamExt, stream};

use super::{Piece, Services, Sink};
use crate::directory::unregistered;

/// Grants that the directory is asked for at once.
const ASKED_AT_ONCE: usize = 16;

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
    ask_across_blocks(services, me).await?;
    if given {
        send_given(services, me, sink).await?;
    }
    if received {
        send_received(services, me, sink).await?;
    }
    Ok(Outcome::Grants { given: Vec::new(), received: Vec::new(), now: services.store.clock().known() })
}

/// Of grants between this peer and those that it has blocked the directory tells what it is asked for alone. Where it cannot be asked,
/// they are listed as they were.
async fn ask_across_blocks(services: &Services, me: PeerId) -> Result<(), WireError> {
    if !services.upstream.is_online() {
        return Ok(());
    }
    let known = services.store.grants_across_blocks(me).await?;
    let asked = stream::iter(known).map(|grant| async {
        let op = Op::Grant { image: grant.image, viewer: grant.viewer };
        (services.upstream.request(op).await, grant)
    });
    let mut answers = pin!(asked.buffer_unordered(ASKED_AT_ONCE));
    while let Some((answer, known)) = answers.next().await {
        match answer {
            Ok(Answer::Grant(now)) => services.cache.take_grant(*now).await?,
            Err(error) if error.code == Code::NotFound => {
                let free = services.store.end_grant(known).await?;
                services.cache.copies.remove(free).await;
            }
            _ => tracing::debug!(image = %known.path, "the directory does not say how a grant stands"),
        }
    }
    Ok(())
}

async fn send_given(services: &Services, me: PeerId, sink: &Sink) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let page = services.store.given(me, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.path.name.clone(), last.viewer, last.image));
        // What is stored has the name that this peer had then.
        let name = services.identity.any().and_then(|identity| identity.name.clone());
        let page = page.into_iter().map(|grant| Grant { owner_name: name.clone(), ..grant }).collect();
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
