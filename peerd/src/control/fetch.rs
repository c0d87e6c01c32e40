//! `fetch`: brings a sealed copy here; spends no view.

use std::sync::Arc;

use dos_protocol::{
    ImageArg, ImagePath, WireError,
    control::{FromPeerd, Outcome},
};

use super::connection::Out;
use crate::{
    Core, ledger,
    rights::{Target, find, usable},
};

/// Fetches it from its owner, unless it is here.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(super) async fn run(core: &Arc<Core>, image: ImageArg, out: &Out) -> Result<Outcome, WireError> {
    let known = match find(core, &image).await? {
        Target::Own(own) => {
            let path = ImagePath { owner: own.info.owner, name: own.info.name };
            return Ok(Outcome::Fetched {
                path,
                bytes: own.info.sealed.bytes,
                way: None,
                round_trip_us: None,
            });
        }
        Target::Other(known) => known,
    };
    let grant = usable(core, &image, known).await?;
    let progress = |progress| {
        // What cannot be said now is outdated later.
        drop(out.try_send(FromPeerd::Progress(progress)));
    };
    let ready = Box::pin(ledger::ensure(core, &image, grant, &progress)).await?;
    let grant = ready.grant;
    let round_trip = ready.came.and_then(|came| came.round_trip);
    Ok(Outcome::Fetched {
        path: grant.path,
        bytes: grant.sealed.bytes,
        way: ready.came.map(|came| came.way),
        round_trip_us: round_trip.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    })
}
