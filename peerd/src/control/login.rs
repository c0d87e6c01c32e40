//! `login`: goes online, and stays so across restarts.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    control::{Outcome, SessionState},
    limits::ANSWER_TIME_MAX,
};
use tokio::time::timeout;

use crate::{
    Core,
    upstream::{SignedInAs, unregistered},
};

/// Signs in, and waits until every update from while it was away is here.
///
/// # Errors
/// `conflict` if another daemon is signed in; `offline` if the directory is out of reach, which is tried on.
pub(super) async fn run(core: &Arc<Core>, force: bool) -> Result<Outcome, WireError> {
    core.identity.registered().ok_or_else(unregistered)?;
    // The wish lasts, unless the directory says no: then the session's owner takes it back.
    core.store.want_online(true).await?;
    let SignedInAs { id, latest, stored, .. } = core.upstream.login(force).await?;
    replayed(core, latest.0).await?;
    let replayed = latest.0.saturating_sub(stored.0);
    Ok(Outcome::Session { id, state: SessionState::Online, replayed })
}

async fn replayed(core: &Core, latest: u64) -> Result<(), WireError> {
    let (mut stored, mut status) = (core.stored.subscribe(), core.upstream.status());
    let replay = async {
        tokio::select! {
            biased;
            here = stored.wait_for(|stored| stored.0 >= latest) => here.is_ok(),
            _ = status.wait_for(|now| now.state != SessionState::Online) => false,
        }
    };
    match timeout(ANSWER_TIME_MAX, replay).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(WireError::new(Code::Offline, "the connection to the directory was lost")),
        Err(_) => Err(WireError::new(Code::Timeout, "the updates from meanwhile did not arrive in time")),
    }
}
