//! `invite`: invites that peers make, and what a guest and its inviter say to each other.

use std::time::Instant;

use dos_daemon::rate::Rate;
use dos_protocol::{
    Code, PeerId, Reason, WireError,
    directory::{Answer, Greet, Invite, Invited},
};

use super::Directory;
use crate::{
    config::Registration,
    rules::{invites, refusal::reached},
    store::{Change, PeerInvite, Refusal},
};

impl Directory {
    pub(super) async fn invite(&self, change: Change, invite: Invite) -> Result<Answer, Refusal> {
        invites::check(&invite)?;
        let settings = self.settings();
        match settings.registration {
            Registration::Invite => {}
            Registration::Open => {
                let expires_at = invites::ends_at(invite.lasts_ms, change.now);
                return Ok(Answer::Invited(Invited { needed: false, expires_at }));
            }
            Registration::Closed => {
                let error = WireError::new(Code::Denied, "this directory takes no new peers");
                return Err(error.because(Reason::Closed).into());
            }
        }
        let Invite { hash, prefix, lasts_ms } = invite;
        let new = PeerInvite { hash, prefix, lasts_ms, per_day: settings.peer_invites };
        let expires_at = self.store.create_peer_invite(change.peer, new, change.now).await?;
        Ok(Answer::Invited(Invited { needed: true, expires_at }))
    }

    pub(super) async fn revoke_invite(&self, peer: PeerId, hash: [u8; 32]) -> Result<Answer, Refusal> {
        self.store.revoke_peer_invite(peer, hash).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn greet(&self, change: Change, greet: Greet) -> Result<Answer, Refusal> {
        let rate = Rate::per_minute(self.settings().limits.messages_per_minute.into());
        if let Err(wait) = self.messages.take(change.peer, rate, Instant::now()) {
            return Err(reached("messages_per_minute", "too many messages").retry_after(wait).into());
        }
        self.store.greet(change, greet).await?;
        Ok(Answer::Done)
    }
}
