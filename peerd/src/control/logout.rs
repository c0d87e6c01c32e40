//! `logout`: goes offline, and stays so across restarts.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{Outcome, SessionState},
};

use crate::{Core, upstream::unregistered};

/// Signs out.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(core: &Arc<Core>) -> Result<Outcome, WireError> {
    let (id, _) = core.identity.registered().ok_or_else(unregistered)?;
    core.store.want_online(false).await?;
    core.upstream.logout().await?;
    Ok(Outcome::Session { id, state: SessionState::Offline, replayed: 0 })
}
