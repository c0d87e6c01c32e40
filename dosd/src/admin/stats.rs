//! `stats`: how the directory does, from memory and the store.

use dos_protocol::{
    admin::{FromDosd, Stats},
    directory::ViewedKind,
};
use dos_sqlite::WriterStats;

use super::{Operator, Replies, Stop};
use crate::store::Counts;

impl Operator {
    pub(super) async fn stats(&self, replies: &mut Replies) -> Result<(), Stop> {
        let (store, live, metrics) = (&self.directory.store, &self.directory.live, &self.directory.metrics);
        let Counts { peers, images, inbox_rows } = store.counts().await?;
        let WriterStats { commits, operations, failures } = store.stats();
        let stats = Stats {
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: metrics.started_at(),
            sessions: u64::try_from(live.count()).unwrap_or(u64::MAX),
            peers,
            images,
            rights: store.grants_standing().await?,
            inbox_rows,
            database_bytes: store.database_bytes().await?,
            commits,
            operations,
            failures,
            views: metrics.views(ViewedKind::View),
            views_checked_out: metrics.views(ViewedKind::Checkout),
            views_checked_in: metrics.views(ViewedKind::Checkin),
            relayed_bytes: live.relay.bytes(),
            queue_drops: live.queue_drops().get(),
        };
        Ok(replies.send(FromDosd::Stats(Box::new(stats))).await?)
    }
}
