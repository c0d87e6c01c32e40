//! `takedown`: removes an image with every grant for it.

use dos_protocol::{ImageName, admin::FromDosd, model::PeerRef};

use super::{Operator, Replies, Stop, check_text};
use crate::store::TakenDown;

impl Operator {
    pub(super) async fn take_down(
        &self,
        owner: &PeerRef,
        (name, reason): (ImageName, Option<Box<str>>),
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        reason.as_deref().map(check_text).transpose()?;
        let owner = self.directory.find(None, owner).await?.id;
        let acted = Self::acted("takedown", reason, replies);
        let TakenDown { owner, name, grants } = self.directory.store.take_down(owner, name, acted).await?;
        tracing::info!(%owner, image = %name, grants, "took an image down");
        Ok(replies.send(FromDosd::TakenDown { owner, name, grants }).await?)
    }
}
