//! `checkin`: gives held views back.

use std::sync::Arc;

use dos_protocol::{ImageArg, WireError, control::Outcome};

use crate::{
    Core,
    ledger::{self, Holding},
};

/// Gives every held view of the image back.
///
/// # Errors
/// `not_found` if none is held; `offline`.
pub(super) async fn run(core: &Arc<Core>, image: ImageArg) -> Result<Outcome, WireError> {
    let Holding { path, held, views_left } = Box::pin(ledger::checkin(core, &image)).await?;
    Ok(Outcome::Held { path, held, views_left })
}
