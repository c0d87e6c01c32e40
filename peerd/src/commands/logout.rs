//! `logout`: goes offline, and stays so across restarts.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{Outcome, SessionState},
};

use super::Services;
use crate::directory::unregistered;

/// Signs out.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let (id, _) = services.identity.registered().ok_or_else(unregistered)?;
    services.store.want_online(false).await?;
    services.upstream.logout().await?;
    Ok(Outcome::Session { id, state: SessionState::Offline, replayed: 0 })
}
