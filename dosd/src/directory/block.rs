//! `block`, `unblock`, `blocks`: which peers take nothing from which, and hide.

use dos_protocol::{PeerId, directory::Answer, model::PeerRef};

use super::Directory;
use crate::{
    live::Caller,
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn block(
        &self,
        caller: &Caller,
        change: Change,
        peer: PeerRef,
    ) -> Result<Answer, Refusal> {
        let (peer, unknown) = self.resolved(change.peer, peer);
        let blocked = self.store.block(change, peer, caller.stored).await;
        let blocked = blocked.map_err(|refusal| unknown.unwrap_or(refusal))?;
        // Who is hidden from sees nothing more of it at any node.
        self.live.is_told_everywhere().await;
        tracing::debug!(blocker = %change.peer, blocked = %blocked.peer, "blocked");
        Ok(Answer::Blocked(Box::new(blocked)))
    }

    pub(super) async fn unblock(&self, change: Change, peer: PeerRef) -> Result<Answer, Refusal> {
        let (peer, unknown) = self.resolved(change.peer, peer);
        self.store.unblock(change, peer).await.map_err(|refusal| unknown.unwrap_or(refusal))?;
        self.live.is_told_everywhere().await;
        Ok(Answer::Done)
    }

    pub(super) async fn blocks(&self, blocker: PeerId) -> Result<Answer, Refusal> {
        Ok(Answer::Blocks(self.store.blocks(blocker).await?))
    }

    pub(super) async fn blocks_page(
        &self,
        blocker: PeerId,
        after: Option<PeerId>,
    ) -> Result<Answer, Refusal> {
        let (blocks, more) = self.store.blocks_page(blocker, after).await?;
        Ok(Answer::BlocksPage { blocks, more })
    }
}
