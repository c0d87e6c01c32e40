//! `announce`: a text to everybody who is online. It is not kept for those who are not.

use dos_protocol::{admin::FromDosd, directory::NoticeKind};

use super::{Operator, Replies, Stop, check_text};

impl Operator {
    pub(super) async fn announce(&self, text: &str, replies: &mut Replies) -> Result<(), Stop> {
        check_text(text)?;
        let told = self.directory.live.say_all(NoticeKind::Announcement, text);
        tracing::info!(told, text, "announced");
        Ok(replies.send(FromDosd::Told(told)).await?)
    }
}
