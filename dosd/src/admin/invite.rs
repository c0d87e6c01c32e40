//! `invite create`, `invite list` and `invite revoke`.

use std::time::Duration;

use dos_protocol::{
    Code, JoinLink, Timestamp, WireError,
    admin::{FromDosd, Invited},
    limits::{INVITE_TIME, INVITE_USES_MAX, PAGE_MAX},
};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn create_invite(
        &self,
        uses: u32,
        expires_ms: Option<u64>,
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        if !(1..=INVITE_USES_MAX).contains(&uses) {
            let why = format!("an invite is for 1 to {INVITE_USES_MAX} registrations");
            return Err(WireError::new(Code::Invalid, why).into());
        }
        let now = Timestamp::now();
        let expires_at = now.after(expires_ms.map_or(INVITE_TIME, Duration::from_millis));
        let code = self.directory.store.create_invite(uses, expires_at, now).await?;
        tracing::info!(invite = code.prefix(), uses, until = %expires_at, "made an invite");
        let link = JoinLink { invite: Some(code.as_str().into()), ..self.link.clone() };
        let invited = Invited { code, link, uses_left: uses, expires_at };
        Ok(replies.send(FromDosd::Invited(invited)).await?)
    }

    pub(super) async fn invites(&self, replies: &mut Replies) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let page = self.directory.store.invites(after, PAGE_MAX).await?;
            after = page.last().cloned();
            if after.is_none() {
                return Ok(replies.send(FromDosd::Done).await?);
            }
            replies.send(FromDosd::Invites(page)).await?;
        }
    }

    pub(super) async fn revoke_invite(&self, code: Box<str>, replies: &mut Replies) -> Result<(), Stop> {
        self.directory.store.revoke_invite(code).await?;
        Ok(replies.send(FromDosd::Done).await?)
    }
}
