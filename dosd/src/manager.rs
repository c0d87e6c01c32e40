//! What the service manager learns of a running server: that it is open, how many sessions it has, and that it works.
//!
//! Works means: the runtime runs tasks, the table of sessions can be read, and the store's writer answers. A server of which one of these
//! hangs gives no sign of life any more and is restarted. Without a service manager nothing of this happens.

use std::{sync::Arc, time::Duration};

use dos_daemon::{notify, watchdog};
use tokio::time::{MissedTickBehavior, interval};

use crate::directory::Directory;

/// How often it is looked whether the number of sessions has changed: often enough for people, and cheap however many come
/// and go.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Tells, from the moment the server serves until it is cancelled.
pub(crate) async fn tell(directory: Arc<Directory>) {
    notify::ready();
    if !notify::is_heard() {
        return;
    }
    tokio::join!(tell_sessions(&directory), show_life(&directory));
}

async fn tell_sessions(directory: &Directory) {
    let mut ticks = interval(LOOK_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        ticks.tick().await;
        let count = directory.live.count();
        if told != Some(count) {
            notify::status(&format!("{count} {}", if count == 1 { "session" } else { "sessions" }));
            told = Some(count);
        }
    }
}

async fn show_life(directory: &Directory) {
    let Some(patience) = watchdog::patience() else { return };
    watchdog::feed(patience, || {
        // A lock that is never given back would stop this, too.
        let _sessions = directory.live.count();
        let store = directory.store.clone();
        async move { store.answers().await }
    })
    .await;
}
