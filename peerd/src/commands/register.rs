//! `register`: a new ID for a key that is written down first.

use std::sync::Arc;

use dos_protocol::{Code, Invitation, JoinLink, Password, PeerName, Reason, WireError, control::Outcome};

use super::{Services, join, password};
use crate::{
    copies::blocking,
    identity::Identity,
    rules::retry::may_come_later,
    trust::called,
    upstream::{Application, SignedInAs},
};

/// Registers at `server` and goes online.
///
/// # Errors
/// `conflict` if this daemon has an ID already or the name is taken; `offline`; `denied`; `invalid` if the password is easy to
/// guess.
pub(super) async fn run(
    services: &Arc<Services>,
    server: JoinLink,
    name: Option<PeerName>,
    password: Option<Password>,
) -> Result<Outcome, WireError> {
    if let Some(password) = &password {
        password::check(password, name.as_ref().map(PeerName::as_str), &server.host)?;
    }
    let identity = begin(services, &server).await?;
    let invitation = server.invitation.as_deref();
    if let Some(invitation) = invitation {
        join::begin(services, &identity, (&server.key, invitation)).await?;
    }
    // By the name that the inviter has for it, if it does not want another one.
    let name = name.or_else(|| invitation.map(|invitation| invitation.guest.clone()));
    let application = Application { identity, name, invite: server.invite.clone() };
    let registered = services.upstream.register(application).await;
    if let (Err(error), Some(invitation)) = (&registered, invitation)
        && !may_come_later(error)
    {
        join::give_up(services, invitation).await?;
    }
    let SignedInAs { id, name, .. } = registered.map_err(|error| match invitation {
        Some(invitation) => not_let_in(error, invitation),
        None => error,
    })?;
    if let Some(password) = password {
        password::first(services, password).await?;
    }
    let joined = match invitation {
        Some(invitation) => Some(Box::new(join::finish(services, invitation).await?)),
        None => None,
    };
    Ok(Outcome::Registered { id, name, server: server.clone().bare(), joined })
}

/// The directory's reason, with what helps somebody who has the link from a peer.
fn not_let_in(error: WireError, invitation: &Invitation) -> WireError {
    let who = called(invitation.from.id, invitation.from.name.as_ref());
    match (error.code, error.reason) {
        (Code::Denied, Some(Reason::Closed)) => error.hint(format!("ask {who} for a new link")),
        (Code::Conflict, None) => error.hint("dosctl up LINK --name NAME, with another name"),
        _ => error,
    }
}

/// A key for a daemon that has no ID yet, written down before it is sent to the directory.
///
/// # Errors
/// `conflict` if this daemon has an ID already, or its state directory belongs to one.
async fn begin(services: &Arc<Services>, server: &JoinLink) -> Result<Arc<Identity>, WireError> {
    unregistered_yet(services)?;
    if services.store.own().await?.peer.is_some() {
        let root = services.dirs.root().display().to_string();
        let message = "the state directory belongs to a peer whose identity.toml is missing";
        let hint = "dosctl login --server LINK --name NAME, if the peer has a password";
        return Err(WireError::new(Code::Conflict, message).caused_by(root).hint(hint));
    }
    let (services, link) = (Arc::clone(services), server.clone());
    Ok(blocking(move || services.identity.begin(&link)).await??)
}

/// Refuses a daemon that has an ID already.
///
/// # Errors
/// `conflict`.
pub(super) fn unregistered_yet(services: &Services) -> Result<(), WireError> {
    let Some((id, identity)) = services.identity.registered() else { return Ok(()) };
    let message = format!("already registered as {id} at {}", identity.server.address());
    Err(WireError::new(Code::Conflict, message).hint("dosctl status"))
}
