//! What peers need in order to reach and recognise each other.

use dos_protocol::{
    PeerId, PublicKey,
    directory::{Answer, Contact},
    model::PeerRef,
};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn contact(&self, peer: PeerId) -> Result<Answer, Refusal> {
        let known = self.store.peer(PeerRef::Id(peer)).await?;
        let session = self.hub.get(peer);
        let addresses = session.as_ref().map(|session| session.addresses.clone()).unwrap_or_default();
        let (online, relay) = (session.is_some(), false);
        Ok(Answer::Contact(Contact { id: known.id, key: known.key, addresses, online, relay }))
    }

    pub(super) async fn identify(&self, key: PublicKey) -> Result<Answer, Refusal> {
        Ok(Answer::Peer(Box::new(self.store.peer_by_key(key).await?.info())))
    }
}
