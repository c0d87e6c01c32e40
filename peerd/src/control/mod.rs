//! The local socket for dosctl: one command per connection, one file per command.
//!
//! What always holds: only the user whose daemon this is, or root, is served; nonsense on a connection ends that
//! connection alone; a command that changes something runs to its end even if dosctl hangs up, any other is given up.

mod add;
mod approve;
mod block;
pub(crate) mod blocks;
mod broadcast;
mod cancel;
mod checkin;
mod checkout;
mod connection;
mod credentials;
mod deny;
mod fetch;
mod list;
mod listener;
mod login;
mod logout;
mod messages;
mod password;
mod ping;
mod preview;
mod register;
mod remove;
mod rename;
mod request;
mod requests;
mod resolve;
mod send;
mod share;
mod shares;
mod status;
mod unblock;
mod view;
mod wait;
mod watch;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use dos_protocol::limits::CONTROL_CONNECTIONS_MAX;
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::Core;
pub(crate) use listener::Listener;

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then waits for the commands that must finish.
pub(crate) async fn run(core: Arc<Core>, listener: Listener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accept => match accepted {
                Ok(stream) => {
                    let (core, stop) = (Arc::clone(&core), stop.clone());
                    connections.spawn(async move {
                        let _place = place;
                        Box::pin(connection::serve(core, stream, stop)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a command");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Nobody finds the socket from now on.
    drop(listener);
    while connections.join_next().await.is_some() {}
}
