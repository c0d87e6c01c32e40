//! `unban` and `bans`: which keys may not register.

use dos_protocol::{admin::FromDosd, limits::PAGE_MAX, model::PeerRef};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn unban(&self, peer: PeerRef, replies: &mut Replies) -> Result<(), Stop> {
        let ban = self.directory.store.unban(peer, Self::acted("unban", None, replies)).await?;
        tracing::info!(peer = %ban.peer, "unbanned");
        Ok(replies.send(FromDosd::Unbanned(ban)).await?)
    }

    pub(super) async fn bans(&self, replies: &mut Replies) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let page = self.directory.store.bans(after).await?;
            let is_last = page.len() < usize::try_from(PAGE_MAX).unwrap_or(usize::MAX);
            after = page.last().map(|ban| ban.peer);
            if !page.is_empty() {
                replies.send(FromDosd::Bans(page)).await?;
            }
            if is_last {
                return Ok(replies.send(FromDosd::Done).await?);
            }
        }
    }
}
