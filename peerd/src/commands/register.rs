//! `register`: a new ID for a key that is written down first.

use std::sync::Arc;

use dos_protocol::{Code, JoinLink, Password, PeerName, WireError, control::Outcome};

use super::Services;
use crate::{
    copies::blocking,
    identity::Identity,
    upstream::{Entrance, SignedInAs},
};

/// Registers at `server` and goes online.
///
/// # Errors
/// `conflict` if this daemon has an ID already or the name is taken; `offline`; `denied`.
pub(super) async fn run(
    services: &Arc<Services>,
    server: JoinLink,
    name: Option<PeerName>,
    password: Option<Password>,
) -> Result<Outcome, WireError> {
    let identity = begin(services, &server).await?;
    let entrance = Entrance::Register { name, invite: server.invite.clone(), password };
    let SignedInAs { id, name, .. } = services.upstream.enter(identity, entrance).await?;
    Ok(Outcome::Registered { id, name, server: JoinLink { invite: None, ..server } })
}

/// A key for a daemon that has no ID yet, written down before it is sent to the directory.
///
/// # Errors
/// `conflict` if this daemon has an ID already, or its state directory belongs to one.
pub(super) async fn begin(services: &Arc<Services>, server: &JoinLink) -> Result<Arc<Identity>, WireError> {
    if let Some((id, identity)) = services.identity.registered() {
        let message = format!("already registered as {id} at {}", identity.server.address());
        return Err(WireError::new(Code::Conflict, message).hint("dosctl status"));
    }
    if services.store.own().await?.peer.is_some() {
        let root = services.dirs.root().display().to_string();
        let message = "the state directory belongs to a peer whose identity.toml is missing";
        return Err(WireError::new(Code::Conflict, message).caused_by(root));
    }
    let (services, link) = (Arc::clone(services), server.clone());
    Ok(blocking(move || services.identity.begin(&link)).await??)
}
