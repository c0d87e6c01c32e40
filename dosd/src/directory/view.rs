//! Views: spent, checked out, given back.

use dos_protocol::{
    PeerId, Timestamp,
    directory::{Answer, Checkin, Spend},
};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn spend(&self, viewer: PeerId, spend: Spend) -> Result<Answer, Refusal> {
        let spent = self.store.spend(viewer, spend, Timestamp::now()).await?;
        Ok(Answer::Spent(Box::new(spent)))
    }

    pub(super) async fn checkin(&self, viewer: PeerId, checkin: Checkin) -> Result<Answer, Refusal> {
        let grant = self.store.checkin(viewer, checkin, Timestamp::now()).await?;
        Ok(Answer::Grant(Box::new(grant)))
    }
}
