//! `wait`: until the session is online and every update from before is here, or until it is offline.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    Code, WireError,
    control::{Outcome, SessionState},
};
use tokio::time::timeout;

use super::Services;
use crate::directory::unregistered;

/// Waits for the state. A daemon that is trying to connect is neither online nor offline.
///
/// # Errors
/// `timeout`; `offline` if it is not registered once the state is reached, or cannot become so.
pub(super) async fn run(
    services: &Arc<Services>,
    online: bool,
    patience: Option<Duration>,
) -> Result<Outcome, WireError> {
    let wait = reached(services, online);
    let state = match patience {
        Some(patience) => timeout(patience, wait).await.map_err(|_| {
            let wanted = if online { "online" } else { "offline" };
            WireError::new(Code::Timeout, format!("not {wanted} in time")).hint("dosctl status")
        })?,
        None => wait.await,
    };
    let state = state.ok_or_else(|| WireError::new(Code::Offline, "the daemon is stopping"))?;
    let (id, _) = services.identity.registered().ok_or_else(unregistered)?;
    Ok(Outcome::Session { id, state, replayed: 0 })
}

async fn reached(services: &Services, online: bool) -> Option<SessionState> {
    let (mut status, mut stored) = (services.upstream.status(), services.feed.stored());
    if online && status.borrow().state == SessionState::Connecting {
        services.upstream.hurry();
    }
    loop {
        let now = status.borrow_and_update().clone();
        let here = *stored.borrow_and_update() >= now.latest;
        match now.state {
            SessionState::Online if online && here => return Some(now.state),
            SessionState::Offline | SessionState::Unregistered if !online => return Some(now.state),
            _ => {}
        }
        tokio::select! {
            changed = status.changed() => changed.ok()?,
            changed = stored.changed() => changed.ok()?,
        }
    }
}
