//! `remove`: forgets a peer for good, ends its session, and with `--ban` keeps its key from registering again.

use dos_protocol::{
    PeerRef,
    admin::{FromDosd, Removed},
    directory::NoticeKind,
};

use super::{Operator, Replies, Stop, check_text};
use crate::live::notice;

impl Operator {
    pub(super) async fn remove(
        &self,
        peer: &PeerRef,
        (is_banned, reason): (bool, Option<Box<str>>),
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        reason.as_deref().map(check_text).transpose()?;
        let known = self.directory.find(None, peer).await?;
        let command = if is_banned { "ban" } else { "remove" };
        let acted = Self::acted(command, reason.clone(), replies);
        let forgotten = self.directory.store.remove_peer(known.id, is_banned, acted).await?;
        let what = if is_banned { "removed and banned" } else { "removed" };
        let text = match &reason {
            Some(reason) => format!("the operator has {what} this peer: {reason}"),
            None => format!("the operator has {what} this peer"),
        };
        self.directory.live.close(known.id, notice(NoticeKind::Kicked, &text)).await;
        tracing::info!(peer = %known.id, images = forgotten.images, grants = forgotten.grants, "{what}");
        let removed =
            Removed { id: known.id, name: known.name, images: forgotten.images, grants: forgotten.grants };
        Ok(replies.send(FromDosd::Removed(removed)).await?)
    }
}
