//! `fetch`: brings a sealed copy here; spends no view.

use std::sync::Arc;

use dos_protocol::{ImageArg, ImagePath, WireError, control::Outcome};

use super::{Services, Sink};
use crate::{
    ledger,
    rights::{Target, find, usable},
};

/// Fetches it from its owner, unless it is here.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(super) async fn run(
    services: &Arc<Services>,
    image: ImageArg,
    sink: &Sink,
) -> Result<Outcome, WireError> {
    let known = match find(&services.grants, &image).await? {
        Target::Own(own) => {
            let path = ImagePath { owner: own.info.owner, name: own.info.name };
            return Ok(Outcome::Fetched {
                path,
                bytes: own.info.sealed.bytes,
                way: None,
                round_trip_us: None,
            });
        }
        Target::Other(known) => known.map(|grant| *grant),
    };
    let grant = usable(&services.grants, &image, known).await?;
    let progress = |progress| sink.progress(progress);
    let ready = Box::pin(ledger::ensure(&services.ledger, &image, grant, &progress)).await?;
    let grant = ready.grant;
    let round_trip = ready.came.and_then(|came| came.round_trip);
    Ok(Outcome::Fetched {
        path: grant.path,
        bytes: grant.sealed.bytes,
        way: ready.came.map(|came| came.way),
        round_trip_us: round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    })
}
