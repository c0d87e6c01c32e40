//! `checkout`: takes views along for use without the directory.

use std::sync::Arc;

use dos_protocol::{ImageArg, WireError, control::Outcome};

use super::Services;
use crate::ledger::{self, Holding};

/// Spends the views at the directory and holds them here.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(super) async fn run(services: &Arc<Services>, image: ImageArg, views: u32) -> Result<Outcome, WireError> {
    let Holding { path, held, views_left } =
        Box::pin(ledger::checkout(&services.ledger, &image, views)).await?;
    Ok(Outcome::Held { path, held, views_left })
}
