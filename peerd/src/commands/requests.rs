//! `requests`: those that came in and went out, from the store here, in parts.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{ContactRequest, Outcome},
    directory::Request,
};

use super::{Piece, Services, Sink};
use crate::directory::unregistered;

/// Reads the store page by page; only what waits for an answer unless `all`.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(
    services: &Arc<Services>,
    (incoming, outgoing): (bool, bool),
    all: bool,
    sink: &Sink,
) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    if incoming {
        send(services, (true, all), sink).await?;
        send_contacts(services, all, sink).await?;
    }
    if outgoing {
        send(services, (false, all), sink).await?;
    }
    Ok(part(vec![], vec![], vec![]))
}

async fn send(services: &Services, (incoming, all): (bool, bool), sink: &Sink) -> Result<(), WireError> {
    let mut after = 0;
    loop {
        let page = services.store.requests((incoming, all), after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.request;
        let part = if incoming { part(page, vec![], vec![]) } else { part(vec![], page, vec![]) };
        sink.give(Piece::Part(Box::new(part))).await?;
    }
}

async fn send_contacts(services: &Services, all: bool, sink: &Sink) -> Result<(), WireError> {
    let mut after = 0;
    loop {
        let page = services.store.contacts(all, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        sink.give(Piece::Part(Box::new(part(vec![], vec![], page)))).await?;
    }
}

fn part(incoming: Vec<Request>, outgoing: Vec<Request>, contacts: Vec<ContactRequest>) -> Outcome {
    Outcome::Requests { incoming, outgoing, contacts }
}
