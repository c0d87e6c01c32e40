//! `link`: the join link, with a fresh invite where newcomers need one.

use dos_protocol::{Timestamp, admin::FromDosd, limits::INVITE_TIME};

use super::{Operator, Replies, Stop};
use crate::config::Registration;

impl Operator {
    pub(super) async fn link(&self, replies: &mut Replies) -> Result<(), Stop> {
        let mut link = self.join_link();
        if self.directory.settings().registration == Registration::Invite {
            let now = Timestamp::now();
            let (code, _) = self.invite(1, now.after(INVITE_TIME), now).await?;
            link.invite = Some(code.as_str().into());
        }
        Ok(replies.send(FromDosd::Link(link)).await?)
    }
}
