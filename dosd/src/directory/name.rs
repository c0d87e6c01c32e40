//! `name`: another name for the peer itself.

use dos_protocol::{PeerId, PeerName, Timestamp, directory::Answer};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn take_name(&self, peer: PeerId, name: PeerName) -> Result<Answer, Refusal> {
        self.store.take_name(peer, name.clone(), Timestamp::now()).await?;
        self.live.rename(peer, &name);
        tracing::info!(%peer, %name, "took another name");
        Ok(Answer::Done)
    }
}
