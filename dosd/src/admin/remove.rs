//! `remove`: forgets a peer for good, and ends its session.

use dos_protocol::{
    PeerRef, Timestamp,
    admin::{FromDosd, Removed},
    directory::NoticeKind,
};

use super::{Operator, Replies, Stop};
use crate::{live::notice, rules::refusal::no_peer};

/// After every moment at which a peer was seen.
const WHENEVER: Timestamp = Timestamp(i64::MAX);

impl Operator {
    pub(super) async fn remove(&self, peer: &PeerRef, replies: &mut Replies) -> Result<(), Stop> {
        let known = self.directory.find(None, peer).await?;
        let forgotten = self.directory.store.forget_peer(known.id, WHENEVER, Timestamp::now()).await?;
        let forgotten = forgotten.ok_or_else(|| no_peer(peer))?;
        self.directory
            .live
            .close(known.id, notice(NoticeKind::Kicked, "the operator has removed this peer"))
            .await;
        tracing::info!(peer = %known.id, images = forgotten.images, grants = forgotten.grants, "removed");
        let removed =
            Removed { id: known.id, name: known.name, images: forgotten.images, grants: forgotten.grants };
        Ok(replies.send(FromDosd::Removed(removed)).await?)
    }
}
