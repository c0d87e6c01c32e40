//! `rename`: gives a peer another name. Its session begins anew, so that everybody sees it under that.

use dos_protocol::{PeerName, admin::FromDosd, directory::NoticeKind, model::PeerRef};

use super::{Operator, Replies, Stop, check_text};
use crate::live::notice;

impl Operator {
    pub(super) async fn rename(
        &self,
        peer: &PeerRef,
        (name, reason): (PeerName, Option<Box<str>>),
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        reason.as_deref().map(check_text).transpose()?;
        let known = self.directory.find(None, peer).await?;
        let acted = Self::acted("rename", reason, replies);
        let old = self.directory.store.rename_peer(known.id, name.clone(), acted).await?;
        if old.as_ref() != Some(&name) {
            let text = format!("the operator has renamed you to {name}");
            // It may come back, and gets its name with its next session.
            self.directory.live.close(known.id, notice(NoticeKind::Shutdown, &text)).await;
            tracing::info!(peer = %known.id, %name, "renamed");
        }
        Ok(replies.send(FromDosd::Renamed { peer: known.id, old, new: name }).await?)
    }
}
