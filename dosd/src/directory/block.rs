//! `block`, `unblock`, `blocks`: who takes nothing from whom, and hides.

use dos_protocol::{PeerId, Timestamp, directory::Answer, model::PeerRef};

use super::Directory;
use crate::{live::Caller, store::Refusal};

impl Directory {
    pub(super) async fn block(&self, caller: &Caller, peer: PeerRef) -> Result<Answer, Refusal> {
        let peer = self.known_as(caller.peer, peer)?;
        let blocked = self.store.block(caller.peer, peer, caller.stored, Timestamp::now()).await?;
        tracing::debug!(blocker = %caller.peer, blocked = %blocked.peer, "blocked");
        Ok(Answer::Blocked(Box::new(blocked)))
    }

    pub(super) async fn unblock(&self, blocker: PeerId, peer: PeerRef) -> Result<Answer, Refusal> {
        let peer = self.known_as(blocker, peer)?;
        self.store.unblock(blocker, peer).await?;
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

    /// The peer as the store knows it: an address is known only here. Does not wait, so that what one session asks stays in
    /// its order on the way to the store.
    pub(super) fn known_as(&self, asker: PeerId, peer: PeerRef) -> Result<PeerRef, Refusal> {
        match peer {
            PeerRef::Address(address) => Ok(PeerRef::Id(self.at(Some(asker), address)?)),
            other => Ok(other),
        }
    }
}
