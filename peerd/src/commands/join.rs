//! `join`: uses an invitation: the inviter's key is pinned, and the inviter gets this peer's.

use std::sync::Arc;

use dos_protocol::{
    Code, Invitation, JoinLink, PublicKey, WireError,
    control::{Invite, InviteState, Outcome},
    limits::INVITE_ANSWER_TIME,
};
use tokio::time::timeout;

use super::{Services, server};
use crate::{directory::unregistered, identity::Identity, invitations, store::Joining, vault::EventKind};

/// Uses an invitation to the directory at which this peer is registered.
///
/// # Errors
/// `conflict` if it is another directory; `invalid` for one's own invitation; `denied` if another key of the inviter is pinned;
/// `offline`.
pub(super) async fn run(services: &Arc<Services>, link: JoinLink) -> Result<Outcome, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    server::same(&identity, id, &link)?;
    let Some(invitation) = &link.invitation else {
        return Err(WireError::new(Code::Invalid, "the link has no invitation in it").hint("dosctl up LINK"));
    };
    if invitation.from.id == id {
        return Err(
            WireError::new(Code::Invalid, "that is an invitation of this peer itself").hint("dosctl invites")
        );
    }
    services.upstream.ready().await?;
    begin(services, &identity, (&link.key, invitation)).await?;
    Ok(Outcome::Joined(Box::new(finish(services, invitation).await?)))
}

/// Writes down that the invitation is used. Nothing is done with it yet.
///
/// # Errors
/// `denied` if another key of the inviter is pinned.
pub(super) async fn begin(
    services: &Services,
    identity: &Identity,
    (directory, invitation): (&PublicKey, &Invitation),
) -> Result<(), WireError> {
    // A directory that this peer was never at has pinned nothing.
    if services.identity.registered().is_some() {
        services.trust.check(invitation.from.id, invitation.from.key).await?;
    }
    let key = invitation.secret.master();
    let (id, inviter) = (key.id(), invitation.from.clone());
    let secret = identity.vault.seal(EventKind::InviteKey, id.as_bytes(), key.as_bytes())?;
    Ok(services.store.join(Joining { id, directory: *directory, inviter, secret }).await?)
}

/// The link has let nobody in, and is not to be used when another one does.
///
/// # Errors
/// If the store fails.
pub(super) async fn give_up(services: &Services, invitation: &Invitation) -> Result<(), WireError> {
    Ok(services.store.forget_joined(invitation.secret.master().id()).await?)
}

/// Greets the inviter, waits for its answer if it is there, and tells how the invitation stands then.
///
/// # Errors
/// If the store fails.
pub(super) async fn finish(services: &Services, invitation: &Invitation) -> Result<Invite, WireError> {
    let id = invitation.secret.master().id();
    let mut stored = services.feed.stored();
    stored.mark_unchanged();
    if let Err(error) = invitations::proceed(&services.invitations).await {
        // It is written down, and goes on by itself.
        tracing::debug!(error = %error.message, "the inviter is not greeted yet");
        services.invitations.work.notify_one();
    } else if services.trust.contact(invitation.from.id).await.is_ok_and(|inviter| inviter.online) {
        let answer = async {
            while shown(services, id).await?.state == InviteState::Waiting {
                if stored.changed().await.is_err() {
                    break;
                }
            }
            Ok::<(), WireError>(())
        };
        if let Ok(answered) = timeout(INVITE_ANSWER_TIME, answer).await {
            answered?;
        }
    }
    shown(services, id).await
}

async fn shown(services: &Services, id: dos_protocol::invitation::InvitationId) -> Result<Invite, WireError> {
    let all = services.store.joined_all().await?;
    all.into_iter()
        .find(|invite| invite.id == id)
        .ok_or_else(|| WireError::new(Code::Internal, "the invitation is not written down"))
}
