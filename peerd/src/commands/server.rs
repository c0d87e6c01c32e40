//! `server`: the same directory at another address.

use std::sync::Arc;

use dos_protocol::{
    Code, JoinLink, PeerId, WireError,
    control::{Outcome, SessionState},
};

use super::Services;
use crate::{copies::blocking, directory::unregistered, identity::Identity};

/// Takes the new address over, durably, and goes online there if this daemon was to be online.
///
/// # Errors
/// `conflict` if the link is that of another directory; `offline` if it is not reached there, which is tried on.
pub(super) async fn run(services: &Arc<Services>, link: JoinLink) -> Result<Outcome, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    same(&identity, id, &link)?;
    let keeper = Arc::clone(services);
    blocking(move || keeper.identity.move_to(link)).await??;
    if services.upstream.status().borrow().state == SessionState::Offline {
        return Ok(Outcome::Session { id, state: SessionState::Offline, replayed: 0 });
    }
    // The wish to be online stays; only the session is another one.
    services.upstream.logout().await?;
    super::login::run(services, false).await
}

/// Refuses the link of another directory than the one where this peer is registered.
///
/// # Errors
/// `conflict`.
pub(super) fn same(identity: &Identity, id: PeerId, link: &JoinLink) -> Result<(), WireError> {
    if link.key != identity.server.key {
        let text = format!("{} is another directory, and nothing was changed", link.address());
        let cause = format!(
            "its key is {}, and {id} is registered under {} at {}",
            link.key,
            identity.server.key,
            identity.server.address()
        );
        let hint = "dosctl --profile OTHER up LINK --name NAME, to sign up there too";
        return Err(WireError::new(Code::Conflict, text).caused_by(cause).hint(hint));
    }
    Ok(())
}
