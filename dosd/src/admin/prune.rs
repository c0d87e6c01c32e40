//! `prune`: forgets peers that were not seen for long, old receipts and dead invites, in small steps beside everything else.

use std::time::Duration;

use dos_protocol::{
    Code, PeerId, Timestamp, WireError,
    admin::{FromDosd, Pruned},
    directory::NoticeKind,
    limits::RECEIPT_AGE_MIN,
};

use super::{Operator, Replies, Stop};
use crate::{live::notice, store::Forgotten};

impl Operator {
    pub(super) async fn prune(
        &self,
        peers_unseen_ms: Option<u64>,
        receipts_older_ms: Option<u64>,
        dry: bool,
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        let now = Timestamp::now();
        let mut pruned = Pruned::default();
        if let Some(age) = receipts_older_ms.map(Duration::from_millis) {
            if age < RECEIPT_AGE_MIN {
                let days = RECEIPT_AGE_MIN.as_secs() / 86_400;
                let why = format!("receipts are kept for {days} days at least");
                return Err(WireError::new(Code::Invalid, why).into());
            }
            pruned.receipts = self.prune_receipts(now.before(age), dry).await?;
        }
        if let Some(age) = peers_unseen_ms.map(Duration::from_millis) {
            self.prune_peers(now, now.before(age), dry, &mut pruned).await?;
        }
        pruned.invites = self.directory.store.forget_invites(now, dry).await?;
        if !dry {
            let about =
                format!("{} peers, {} receipts, {} invites", pruned.peers, pruned.receipts, pruned.invites);
            self.note(Self::acted("prune", None, replies), about).await?;
            while self.directory.store.forget_operations(now).await? {}
            tracing::info!(
                peers = pruned.peers,
                images = pruned.images,
                receipts = pruned.receipts,
                invites = pruned.invites,
                "pruned"
            );
        }
        Ok(replies.send(FromDosd::Pruned(pruned)).await?)
    }

    async fn prune_receipts(&self, before: Timestamp, dry: bool) -> Result<u64, Stop> {
        let (mut after, mut forgotten) = (Vec::new(), 0);
        loop {
            let step = self.directory.store.forget_receipts(after, before, dry).await?;
            forgotten += step.forgotten;
            match step.next {
                Some(next) => after = next,
                None => return Ok(forgotten),
            }
        }
    }

    async fn prune_peers(
        &self,
        now: Timestamp,
        before: Timestamp,
        dry: bool,
        pruned: &mut Pruned,
    ) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let unseen = self.directory.store.unseen(after, before).await?;
            let Some(last) = unseen.last().copied() else { return Ok(()) };
            after = Some(last);
            for peer in unseen {
                // A session that has lasted for long is written down when it ends.
                if self.directory.live.is_online(peer) {
                    continue;
                }
                if let Some(Forgotten { images, grants }) = self.prune_peer(peer, before, now, dry).await? {
                    pruned.peers += 1;
                    pruned.images += images;
                    pruned.rights += grants;
                }
            }
        }
    }

    async fn prune_peer(
        &self,
        peer: PeerId,
        before: Timestamp,
        now: Timestamp,
        dry: bool,
    ) -> Result<Option<Forgotten>, Stop> {
        if dry {
            return Ok(Some(self.directory.store.weigh(peer).await?));
        }
        let forgotten = self.directory.store.forget_peer(peer, before, now).await?;
        // It may have come back at this very moment; it has to register again.
        if forgotten.is_some() {
            let notice = notice(NoticeKind::Kicked, "the operator has removed this peer");
            self.directory.live.close(peer, notice).await;
        }
        Ok(forgotten)
    }
}
