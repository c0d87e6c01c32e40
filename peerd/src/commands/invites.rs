//! `invites`: the invitations that were made and used here, and revoking one.

use std::sync::Arc;

use dos_protocol::{Code, PeerName, WireError, control::Outcome};

use super::Services;
use crate::{directory::unregistered, invitations};

/// Those that were made, then those that were used.
///
/// # Errors
/// If the store fails.
pub(super) async fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let mut all = services.store.invitations().await?;
    all.extend(services.store.joined_all().await?);
    Ok(Outcome::Invites(all))
}

/// Revokes the open one for a guest, here at once and at the directory as soon as that is within reach.
///
/// # Errors
/// `not_found` if there is none that is open.
pub(super) async fn revoke(services: &Arc<Services>, guest: PeerName) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    let Some(invite) = services.store.revoke_invitation(guest.clone()).await? else {
        let text = format!("there is no open invitation for {guest}");
        return Err(WireError::new(Code::NotFound, text).hint("dosctl invites"));
    };
    if services.upstream.is_online()
        && let Err(error) = invitations::proceed(&services.invitations).await
    {
        tracing::debug!(error = %error.message, "the directory does not know yet that an invite is revoked");
        services.invitations.work.notify_one();
    }
    Ok(Outcome::Invites(vec![invite]))
}
