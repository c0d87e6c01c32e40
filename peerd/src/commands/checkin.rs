//! `checkin`: gives held views back.

use dos_protocol::{ImageArg, WireError, control::Outcome};

use super::operation::Operation;
use crate::ledger::{self, Holding};

/// Gives every held view of the image back.
///
/// # Errors
/// `not_found` if none is held; `offline`.
pub(super) async fn run(change: &Operation, image: ImageArg) -> Result<Outcome, WireError> {
    let repeated = change.is_repeated().await?;
    let checkin = ledger::checkin(&change.services.ledger, &image, repeated);
    let Holding { path, held, views_left } = Box::pin(checkin).await?;
    Ok(Outcome::Held { path, held, views_left })
}
