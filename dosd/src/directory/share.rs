//! `share`: grants, given, changed and revoked.

use dos_protocol::{
    ImageNo, PeerId,
    directory::{Answer, Share},
};

use super::Directory;
use crate::store::{Change, Refusal};

impl Directory {
    pub(super) async fn share(&self, change: Change, mut share: Share) -> Result<Answer, Refusal> {
        let (viewer, unknown) = self.resolved(change.peer, share.viewer);
        share.viewer = viewer;
        let grant = self.store.share(change, share).await;
        Ok(Answer::Grant(Box::new(grant.map_err(|refusal| unknown.unwrap_or(refusal))?)))
    }

    pub(super) async fn grants(
        &self,
        peer: PeerId,
        after: Option<(ImageNo, PeerId)>,
    ) -> Result<Answer, Refusal> {
        let (grants, more) = self.store.grants(peer, after).await?;
        Ok(Answer::Grants { grants, more })
    }

    pub(super) async fn grant(
        &self,
        caller: PeerId,
        image: ImageNo,
        viewer: PeerId,
    ) -> Result<Answer, Refusal> {
        Ok(Answer::Grant(Box::new(self.store.grant(caller, image, viewer).await?)))
    }
}
