//! `register`: a new ID for a key that is written down first.

use std::sync::Arc;

use dos_protocol::{Code, JoinLink, PeerName, WireError, control::Outcome};

use crate::{Core, copies::blocking, upstream::SignedInAs};

/// Registers at `server` and goes online.
///
/// # Errors
/// `conflict` if this daemon has an ID already or the name is taken; `offline`; `denied`.
pub(super) async fn run(
    core: &Arc<Core>,
    server: JoinLink,
    name: Option<PeerName>,
) -> Result<Outcome, WireError> {
    if let Some((id, identity)) = core.identity.registered() {
        let message = format!("already registered as {id} at {}", identity.server.address());
        return Err(WireError::new(Code::Conflict, message).hint("dosctl status"));
    }
    if core.store.own().await?.peer.is_some() {
        let root = core.dirs.root().display().to_string();
        let message = "the state directory belongs to a peer whose identity.toml is missing";
        return Err(WireError::new(Code::Conflict, message).caused_by(root));
    }
    let link = server.clone();
    let begun = Arc::clone(core);
    let identity = blocking(move || begun.identity.begin(&link)).await??;
    let SignedInAs { id, name, .. } = core.upstream.register(identity, name, server.invite.clone()).await?;
    Ok(Outcome::Registered { id, name, server: JoinLink { invite: None, ..server } })
}
