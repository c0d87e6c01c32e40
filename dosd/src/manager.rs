//! What the service manager learns of a running server: how many sessions it has, and that it works.
//!
//! Works means: the runtime runs tasks, the table of sessions can be read, and the store's writer answers.

use std::{sync::Arc, time::Duration};

use dos_daemon::{manager, notify};
use tokio::time::{MissedTickBehavior, interval};

use crate::directory::Directory;

/// How often it is looked whether the number of sessions has changed: often enough for people, and cheap however many come
/// and go.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Reports from the moment the server serves until it is cancelled.
pub(crate) async fn report(directory: Arc<Directory>) {
    let works = || {
        // A lock that is never given back would stop this, too.
        let _sessions = directory.live.count();
        let store = directory.store.clone();
        async move { store.answers().await }
    };
    manager::report(report_sessions(&directory), works).await;
}

async fn report_sessions(directory: &Directory) {
    let mut ticks = interval(LOOK_AFTER);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = None;
    loop {
        ticks.tick().await;
        let count = directory.live.count();
        if reported != Some(count) {
            notify::status(&format!("{count} {}", if count == 1 { "session" } else { "sessions" }));
            reported = Some(count);
        }
    }
}
