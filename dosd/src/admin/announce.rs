//! `announce`: a text to every peer that is online. It is not kept for those that are not.

use dos_protocol::{admin::FromDosd, directory::NoticeKind};

use super::{Operator, Replies, Stop, check_text};

impl Operator {
    pub(super) async fn announce(&self, text: &str, replies: &mut Replies) -> Result<(), Stop> {
        check_text(text)?;
        self.note(Self::acted("announce", None, replies), text).await?;
        let receivers = self.directory.live.say_all(NoticeKind::Announcement, text).await;
        tracing::info!(receivers, text, "announced");
        Ok(replies.send(FromDosd::Told(receivers)).await?)
    }
}
