//! `invite create`, `invite list` and `invite revoke`.

use std::time::Duration;

use dos_protocol::{
    Code, InviteCode, JoinLink, Timestamp, WireError,
    admin::{FromDosd, Invite, Invited},
    limits::{INVITE_TIME, INVITE_USES_MAX, PAGE_MAX},
};

use super::{Operator, Replies, Stop};
use crate::{
    rules::invites::wants_another_code,
    store::{NewInvite, Refusal},
};

/// How often a code is drawn before giving up: with as many invites as a directory keeps, one draw in a thousand begins like
/// another one.
pub(crate) const INVITE_DRAWS: usize = 8;

fn draw() -> Result<InviteCode, WireError> {
    InviteCode::generate().map_err(|error| WireError::new(Code::Internal, error.to_string()))
}

impl Operator {
    pub(super) async fn create_invite(
        &self,
        (uses, expires_ms, code): (u32, Option<u64>, Option<InviteCode>),
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        if !(1..=INVITE_USES_MAX).contains(&uses) {
            let why = format!("an invite is for 1 to {INVITE_USES_MAX} registrations");
            return Err(WireError::new(Code::Invalid, why).into());
        }
        let now = Timestamp::now();
        let expires_at = now.after(expires_ms.map_or(INVITE_TIME, Duration::from_millis));
        let (code, invite) = match code {
            Some(code) => {
                let new = NewInvite { code: code.clone(), uses, expires_at };
                (code, self.directory.store.create_invite(new, now).await?)
            }
            None => self.invite(uses, expires_at, now).await?,
        };
        self.note(Self::acted("invite create", None, replies), format!("{} for {uses}", code.prefix()))
            .await?;
        tracing::info!(invite = code.prefix(), uses, until = %invite.expires_at, "made an invite");
        let link = JoinLink { invite: Some(code.as_str().into()), ..self.join_link() };
        let invited = Invited { code, link, uses_left: invite.uses_left, expires_at: invite.expires_at };
        Ok(replies.send(FromDosd::Invited(invited)).await?)
    }

    /// Makes an invite with a code that is drawn here.
    pub(super) async fn invite(
        &self,
        uses: u32,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(InviteCode, Invite), Stop> {
        for _ in 0..INVITE_DRAWS {
            let code = draw()?;
            let new = NewInvite { code: code.clone(), uses, expires_at };
            match self.directory.store.create_invite(new, now).await {
                Ok(invite) => return Ok((code, invite)),
                Err(Refusal::Refused(error)) if wants_another_code(&error) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(WireError::new(Code::Internal, "no free invite was found").into())
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
        let prefix: String = code.chars().take(4).collect();
        self.directory.store.revoke_invite(code).await?;
        self.note(Self::acted("invite revoke", None, replies), prefix).await?;
        Ok(replies.send(FromDosd::Done).await?)
    }
}
