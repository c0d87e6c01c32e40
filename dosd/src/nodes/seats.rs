//! What this server's sessions are by its own account and by the store's: compared when something may have been missed, and now and
//! then.
//!
//! A session whose seat is at another node ends; a seat here without a session is freed, since it would keep the peer's other daemons
//! out; a session that has not heard of its inbox's last row reads it.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};

use super::{BEAT, SEATS_PAUSE, Shared, free_abandoned};
use crate::{
    directory::Directory,
    store::{Refusal, SEATS},
};

/// Compares whenever something may have been missed; not more than once a second.
pub(super) async fn compare_when_missed(shared: Arc<Shared>) {
    loop {
        // An error is that nothing was missed for a while.
        drop(timeout(SEATS_PAUSE, shared.missed.notified()).await);
        let begun = Instant::now();
        free_abandoned(&shared.directory).await;
        if let Err(error) = compare(&shared.directory).await {
            tracing::debug!(%error, "cannot compare the seats");
        }
        sleep(BEAT.saturating_sub(begun.elapsed())).await;
    }
}

async fn compare(directory: &Directory) -> Result<(), Refusal> {
    let (store, live) = (&directory.store, &directory.live);
    let Some(node) = store.node() else { return Ok(()) };
    let (mut seated, mut after) = (live.seated().0, None);
    loop {
        let page = store.seats(node, after).await?;
        let mut ghosts = Vec::new();
        for seat in &page {
            seated.remove(&seat.peer);
            if live.is_here(seat.peer) {
                live.look((seat.peer, seat.session), seat.latest);
            } else {
                ghosts.push((seat.peer, seat.session));
            }
        }
        if !ghosts.is_empty() {
            store.free_seats(ghosts).await?;
        }
        after = page.last().map(|seat| seat.peer);
        if page.len() < usize::try_from(SEATS).unwrap_or(usize::MAX) {
            break;
        }
    }
    for (peer, seat) in seated {
        tracing::info!(%peer, "this peer has a session at another node now");
        live.unseat((peer, seat));
    }
    Ok(())
}
