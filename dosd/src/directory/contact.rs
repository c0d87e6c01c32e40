//! What peers need in order to reach and recognise each other.

use dos_protocol::{
    PeerId, PublicKey,
    directory::{Answer, Contact},
    model::PeerRef,
};

use super::{Directory, list::conceal};
use crate::{live::Online, store::Refusal};

impl Directory {
    pub(super) async fn contact(&self, caller: PeerId, peer: PeerId) -> Result<Answer, Refusal> {
        let known = self.store.peer(PeerRef::Id(peer)).await?;
        let presence = self.live.presence_for(caller, peer);
        let online = presence.is_some();
        let seen = self.live.presence_of(caller);
        let takes_part = |online: &Online| online.reach.mapped().is_some();
        let rendezvous = presence.as_ref().is_some_and(takes_part) && seen.as_ref().is_some_and(takes_part);
        // A caller whose session has just ended is seen nowhere.
        let addresses = match (presence, seen) {
            (Some(of), Some(to)) => of.reach.told_to(&to.reach),
            _ => Vec::new(),
        };
        let relay = online && self.settings().relay.on;
        Ok(Answer::Contact(Contact {
            id: known.id,
            key: known.key,
            addresses,
            online,
            relay,
            rendezvous,
            sealing: known.sealing,
            name: known.name,
        }))
    }

    pub(super) async fn identify(&self, caller: PeerId, key: PublicKey) -> Result<Answer, Refusal> {
        let mut info = self.store.peer_by_key(key).await?.info();
        if self.live.hides(info.id, caller) {
            conceal(&mut info);
        }
        Ok(Answer::Peer(Box::new(info)))
    }
}
