//! What the service manager learns of a running daemon: that it is ready, its state in one line, and that it works.
//!
//! A daemon that hangs gives no sign of life any more and is restarted. Without a service manager nothing of this happens.

use crate::{notify, watchdog};

/// Reports from the moment the daemon serves until it is cancelled. `status` reports the state by [`notify::status`] as it
/// changes; `works` tells whether the work that the daemon does for others gets done.
pub async fn report<W: Future<Output = bool>>(status: impl Future<Output = ()>, works: impl FnMut() -> W) {
    notify::ready();
    if !notify::is_heard() {
        return;
    }
    let show_life = async {
        if let Some(patience) = watchdog::patience() {
            watchdog::feed(patience, works).await;
        }
    };
    tokio::join!(status, show_life);
}
