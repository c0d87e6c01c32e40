//! The local socket for dosctl: one command per connection. It translates frames into [`crate::commands`] and back, and
//! decides nothing.
//!
//! What always holds: only the user whose daemon this is, or root, is served; nonsense on a connection ends that connection
//! alone.

mod connection;
mod listener;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dos_daemon::log::Throttle;
use dos_protocol::limits::CONTROL_CONNECTIONS_MAX;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::commands::Services;
pub(crate) use listener::Listener;

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Such failures are logged this far apart.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(60);

/// Serves until `stop`, then waits for the commands that must finish. `on_bound` is called when the socket was bound anew.
pub(crate) async fn run(
    services: Arc<Services>,
    mut listener: Listener,
    on_bound: impl Fn() + Send + Sync,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
    let failures = Throttle::new(ACCEPT_LOG_PAUSE);
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept(&on_bound).await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accept => match accepted {
                Ok(stream) => {
                    let (services, stop) = (Arc::clone(&services), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        Box::pin(connection::serve(services, stream, stop)).await;
                    });
                }
                Err(error) => {
                    if let Some(left_out) = failures.take(Instant::now()) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, left_out, "cannot accept a command");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // No one finds the socket from now on.
    drop(listener);
    while connections.join_next().await.is_some() {}
}
