//! `gallery`: lets one browser into the gallery.

use std::sync::Arc;

use dos_protocol::{WireError, control::Outcome};

use super::Services;
use crate::entrance::{Pass, Place};

/// Has the gallery served.
///
/// # Errors
/// `internal` if no port can be opened.
pub(super) async fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let Pass { place, token } = services.entrance.ask().await?;
    Ok(match place {
        Place::Port(address) => Outcome::Gallery { address, token },
        Place::Proxy(url) => Outcome::GalleryAt { url, token },
    })
}
