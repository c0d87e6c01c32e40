//! `news`: what has happened since it was shown last, as events.

use std::sync::Arc;

use dos_protocol::{WireError, control::Outcome};

use super::{Finished, Piece, Services, Sink, WhenShown};
use crate::{directory::unregistered, store::Me};

/// Gives the events that were not shown yet, or all that are kept. They count as shown once dosctl says so.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(services: &Arc<Services>, all: bool, sink: &Sink) -> Result<Finished, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let me = Me { id, name: identity.name.clone() };
    let mut last = 0;
    loop {
        let (events, more, shown) = services.store.news(me.clone(), all, last).await?;
        last = shown;
        for event in events {
            sink.give(Piece::Event(Box::new(event))).await?;
        }
        if !more {
            return Ok(Finished { outcome: Outcome::News(last), then: Some(WhenShown::News(last)) });
        }
    }
}
