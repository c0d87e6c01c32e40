//! `login`: goes online, and stays so across restarts; with a password, on a machine that has no ID yet.

use std::sync::Arc;

use dos_protocol::{
    Code, JoinLink, Password, PeerId, PeerName, Reason, WireError,
    control::{Outcome, SessionState},
    limits::ANSWER_TIME_MAX,
};
use tokio::time::timeout;

use super::{Services, register};
use crate::{
    directory::unregistered,
    identity::Identity,
    relearn,
    upstream::{Escrowed, SignedInAs, log_in},
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

/// Who logs in where, with a password.
#[derive(Debug)]
pub(super) struct ByPassword {
    pub(super) server: JoinLink,
    pub(super) name: PeerName,
    pub(super) password: Password,
    /// Takes over from another machine that is signed in with the ID.
    pub(super) force: bool,
}

/// Gets the key of the peer of this name with its password, for a daemon that has none, goes online with it, and waits until
/// everything that the directory knows of it is here.
///
/// # Errors
/// `conflict` if this daemon has an ID already, or another machine is signed in and is not to be taken over; `denied` if the name
/// or the password is wrong, too many were, or what the directory gives is not the peer's; `offline`.
pub(super) async fn by_password(services: &Arc<Services>, login: ByPassword) -> Result<Outcome, WireError> {
    let ByPassword { server, name, password, force } = login;
    register::unregistered_yet(services)?;
    let Escrowed { secret, id, online } = log_in(&server, name.clone(), password).await?;
    if let Some(other) = services.store.own().await?.peer.filter(|other| *other != id) {
        return Err(foreign(services, other));
    }
    if online && !force {
        return Err(elsewhere(&name, id));
    }
    let identity = Identity::known(secret, server, id, Some(name))?;
    let SignedInAs { id, latest, stored, .. } = services.upstream.adopt(identity, force).await?;
    // The ID is here from now on; what still fails is done after the next sign-in.
    replayed(services, latest.0).await?;
    relearn::run(&services.relearning).await?;
    let replayed = latest.0.saturating_sub(stored.0);
    Ok(Outcome::Session { id, state: SessionState::Online, replayed })
}

fn elsewhere(name: &PeerName, id: PeerId) -> WireError {
    let text = format!("another machine is signed in as {name} ({id}); nothing was changed");
    WireError::new(Code::Conflict, text).because(Reason::Elsewhere).hint(
        "the same command with --force: the other machine is then offline until `dosctl login --force` there",
    )
}

fn foreign(services: &Services, other: PeerId) -> WireError {
    let text = format!("the state directory belongs to another peer, {other}");
    WireError::new(Code::Conflict, text)
        .caused_by(services.dirs.root().display().to_string())
        .hint("dosctl --profile NEW login --server LINK --name NAME")
}

/// Waits until the updates up to `latest` are here. A session that is lost meanwhile is replaced by another one: the directory ends
/// one whose next updates it has forgotten, because another machine with the same ID had acknowledged them.
async fn replayed(services: &Services, latest: u64) -> Result<(), WireError> {
    let (mut stored, mut status) = (services.feed.stored(), services.upstream.status());
    let is_over = |state| matches!(state, SessionState::Offline | SessionState::Unregistered);
    let replay = async {
        tokio::select! {
            biased;
            here = stored.wait_for(|stored| stored.0 >= latest) => here.is_ok(),
            _ = status.wait_for(|now| is_over(now.state)) => false,
        }
    };
    let lost = || WireError::new(Code::Offline, "the connection to the directory was lost");
    match timeout(ANSWER_TIME_MAX, replay).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(lost()),
        Err(_) if services.upstream.status().borrow().state != SessionState::Online => Err(lost()),
        Err(_) => Err(WireError::new(Code::Timeout, "the updates from meanwhile did not arrive in time")),
    }
}
