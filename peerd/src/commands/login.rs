//! `login`: goes online, and stays so across restarts; with a password, on a machine that has no ID yet.

use std::sync::Arc;

use dos_protocol::{
    Code, JoinLink, Password, PeerName, WireError,
    control::{Outcome, SessionState},
    limits::ANSWER_TIME_MAX,
};
use tokio::time::timeout;

use super::{Services, register};
use crate::{
    directory::unregistered,
    relearn,
    upstream::{Entrance, SignedInAs},
};

/// Signs in, and waits until every update from while it was away is here.
///
/// # Errors
/// `conflict` if another daemon is signed in; `offline` if the directory is out of reach, which is tried on.
pub(super) async fn run(services: &Arc<Services>, force: bool) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    // The wish lasts, unless the directory says no: then the session's owner takes it back.
    services.store.want_online(true).await?;
    let SignedInAs { id, latest, stored, .. } = services.upstream.login(force).await?;
    replayed(services, latest.0).await?;
    let replayed = latest.0.saturating_sub(stored.0);
    Ok(Outcome::Session { id, state: SessionState::Online, replayed })
}

/// Takes the ID of this name back with its password, for a daemon that has none, and waits until everything that the
/// directory knows of it is here.
///
/// # Errors
/// `conflict` if this daemon has an ID already; `denied` if the name or the password is wrong, or too many were; `offline`.
pub(super) async fn recover(
    services: &Arc<Services>,
    server: JoinLink,
    name: PeerName,
    password: Password,
) -> Result<Outcome, WireError> {
    let identity = register::begin(services, &server).await?;
    let entrance = Entrance::Recover { name, password };
    let SignedInAs { id, latest, stored, .. } = services.upstream.enter(identity, entrance).await?;
    // The ID is here from now on; what still fails is done after the next sign-in.
    replayed(services, latest.0).await?;
    relearn::run(&services.relearning).await?;
    let replayed = latest.0.saturating_sub(stored.0);
    Ok(Outcome::Session { id, state: SessionState::Online, replayed })
}

async fn replayed(services: &Services, latest: u64) -> Result<(), WireError> {
    let (mut stored, mut status) = (services.feed.stored(), services.upstream.status());
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
