//! `password --clear`: what is kept for a peer's password is deleted.

use dos_protocol::{admin::FromDosd, model::PeerRef};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn clear_password(&self, peer: &PeerRef, replies: &mut Replies) -> Result<(), Stop> {
        let peer = self.directory.find(None, peer).await?.id;
        let was_set = self.directory.store.clear_password(peer).await?;
        self.note(Self::acted("password --clear", None, replies), peer.to_string()).await?;
        tracing::info!(%peer, was_set, "cleared a password");
        Ok(replies.send(FromDosd::PasswordCleared { peer, was_set }).await?)
    }
}
