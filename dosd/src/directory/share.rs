//! `share`: rights, given, changed and taken back.

use dos_protocol::{
    ImageNo, PeerId, Timestamp,
    directory::{Answer, Share},
    model::PeerRef,
};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn share(&self, owner: PeerId, mut share: Share) -> Result<Answer, Refusal> {
        if matches!(share.viewer, PeerRef::Address(_)) {
            share.viewer = PeerRef::Id(self.find(Some(owner), &share.viewer).await?.id);
        }
        let grant = self.store.share(owner, share, Timestamp::now()).await?;
        Ok(Answer::Grant(Box::new(grant)))
    }

    pub(super) async fn rights(
        &self,
        peer: PeerId,
        after: Option<(ImageNo, PeerId)>,
    ) -> Result<Answer, Refusal> {
        let (grants, more) = self.store.rights(peer, after).await?;
        Ok(Answer::Grants { grants, more })
    }

    pub(super) async fn right(
        &self,
        asker: PeerId,
        image: ImageNo,
        viewer: PeerId,
    ) -> Result<Answer, Refusal> {
        Ok(Answer::Grant(Box::new(self.store.right(asker, image, viewer).await?)))
    }
}
