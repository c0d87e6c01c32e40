//! `check`: verifies the store beside everything else that it does.

use dos_protocol::admin::FromDosd;

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn check(&self, replies: &mut Replies) -> Result<(), Stop> {
        let checked = self.directory.store.check().await?;
        for finding in &checked.findings {
            tracing::error!(%finding, "the store is not sound");
        }
        Ok(replies.send(FromDosd::Checked(checked)).await?)
    }
}
