//! `stats`: how the directory does, from memory and the store.

use dos_protocol::{
    admin::{FromDosd, Room, Stats},
    directory::ViewedKind,
};
use dos_sql::WriterStats;

use super::{Operator, Replies, Stop};
use crate::{
    rules::Level,
    store::{Counts, Looked},
};

impl Operator {
    pub(super) async fn stats(&self, replies: &mut Replies) -> Result<(), Stop> {
        let (store, live, metrics) = (&self.directory.store, &self.directory.live, &self.directory.metrics);
        let Counts { peers, images, preview_bytes, inbox_rows, inbox_bytes } = store.counts().await?;
        let Looked { space, level, room } = store.space().await?;
        let (state, limit) = match level {
            Level::Ample => (Room::Ample, None),
            Level::Low(bound) => (Room::Low, Some(bound.limit())),
            Level::Full(bound) => (Room::Full, Some(bound.limit())),
        };
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
            preview_bytes,
            inbox_bytes,
            used_bytes: space.database,
            room_bytes: room,
            room: state,
            room_limit: limit.map(Into::into),
        };
        Ok(replies.send(FromDosd::Stats(Box::new(stats))).await?)
    }
}
