//! `audit`: what operators have done, the newest first.

use dos_protocol::{admin::FromDosd, limits::PAGE_MAX};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn audit(&self, limit: u32, replies: &mut Replies) -> Result<(), Stop> {
        let (mut before, mut left) = (None, limit);
        while left > 0 {
            let page = self.directory.store.audit(before, left.min(PAGE_MAX)).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.no);
            left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
            replies.send(FromDosd::Audit(page)).await?;
        }
        Ok(replies.send(FromDosd::Done).await?)
    }
}
