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
    for (wanted, incoming) in [(incoming, true), (outgoing, false)] {
        let mut after = 0;
        while wanted {
            let page = services.store.requests((incoming, all), after).await?;
            let Some(last) = page.last() else { break };
            after = last.request;
            let part = if incoming { part(page, vec![], vec![]) } else { part(vec![], page, vec![]) };
            sink.give(Piece::Part(Box::new(part))).await?;
        }
    }
    let mut after = 0;
    while incoming {
        let page = services.store.contacts(all, after).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        sink.give(Piece::Part(Box::new(part(vec![], vec![], page)))).await?;
    }
    Ok(part(vec![], vec![], vec![]))
}

fn part(incoming: Vec<Request>, outgoing: Vec<Request>, contacts: Vec<ContactRequest>) -> Outcome {
    Outcome::Requests { incoming, outgoing, contacts }
}
