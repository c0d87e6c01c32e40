//! `ping`: how long a message takes to a peer's daemon and back, through its session.

use std::time::Duration;

use dos_protocol::{
    Code, PeerId, WireError,
    admin::{FromDosd, PingResult, Pinged, Whom},
    limits::{PING_TIME_MAX, PINGS_MAX},
};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::{Operator, Replies, Stop, TOGETHER};
use crate::live::Live;

/// Peers in one reply, at most.
const ROWS: usize = 100;

impl Operator {
    pub(super) async fn ping(&self, whom: Whom, count: u32, replies: &mut Replies) -> Result<(), Stop> {
        let count = count.clamp(1, PINGS_MAX);
        match whom {
            Whom::All => {
                let live = &self.directory.live;
                let pinging = stream::iter(self.all_online()).map(|peer| ping(live, peer, count));
                let mut rows = Box::pin(pinging.buffer_unordered(TOGETHER).ready_chunks(ROWS));
                while let Some(rows) = rows.next().await {
                    replies.send(FromDosd::Pinged(self.with_names(rows).await?)).await?;
                }
            }
            Whom::One(peer) => {
                let known = self.online(&peer).await?;
                let (id, result) = ping(&self.directory.live, known.id, count).await;
                match result {
                    PingResult::Answered { .. } => {}
                    PingResult::Timeout => {
                        let why = format!("{peer} did not answer within {} s", PING_TIME_MAX.as_secs());
                        return Err(WireError::new(Code::Timeout, why).into());
                    }
                    PingResult::Offline => {
                        return Err(WireError::new(Code::Offline, format!("{peer} has gone offline")).into());
                    }
                }
                replies.send(FromDosd::Pinged(vec![Pinged { id, name: known.name, result }])).await?;
            }
        }
        Ok(replies.send(FromDosd::Done).await?)
    }

    async fn with_names(&self, rows: Vec<(PeerId, PingResult)>) -> Result<Vec<Pinged>, Stop> {
        let ids = rows.iter().map(|(id, _)| *id).collect();
        let known = self.directory.store.registered_of(ids).await?;
        let name_of = |id| known.iter().find(|peer| peer.id == id).and_then(|peer| peer.name.clone());
        Ok(rows.into_iter().map(|(id, result)| Pinged { id, name: name_of(id), result }).collect())
    }
}

/// One ping after the other, until one is lost.
async fn ping(live: &Live, peer: PeerId, count: u32) -> (PeerId, PingResult) {
    let mut times = Vec::new();
    for _ in 0..count {
        match timeout(PING_TIME_MAX, live.ping(peer)).await {
            Ok(Some(time)) => times.push(time),
            Ok(None) => return (peer, PingResult::Offline),
            Err(_) => return (peer, PingResult::Timeout),
        }
    }
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let min_us = micros(times.iter().min().copied().unwrap_or_default());
    let avg_us = micros(times.iter().sum::<Duration>() / count.max(1));
    (peer, PingResult::Answered { min_us, avg_us })
}
