//! `blocks`: who is blocked, in parts.

use std::sync::Arc;

use dos_protocol::{WireError, control::Outcome};

use super::{Piece, Services, Sink};
use crate::directory::unregistered;

/// Reads the store page by page.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(services: &Arc<Services>, sink: &Sink) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    let mut after = None;
    loop {
        let page = services.store.blocked_peers(after).await?;
        let Some(last) = page.last() else { return Ok(Outcome::Blocks(Vec::new())) };
        after = Some(last.clone());
        sink.give(Piece::Part(Box::new(Outcome::Blocks(page)))).await?;
    }
}
