//! `unregister`: a peer leaves for good. Its session ends with the answer.

use dos_protocol::{PeerId, Timestamp, directory::Answer};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn unregister(&self, peer: PeerId) -> Result<Answer, Refusal> {
        if let Some(forgotten) = self.store.unregister(peer, Timestamp::now()).await? {
            tracing::info!(%peer, images = forgotten.images, grants = forgotten.grants, "left for good");
        }
        Ok(Answer::Done)
    }
}
