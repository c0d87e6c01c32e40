//! `watch`: events as they happen, until dosctl hangs up.

use std::sync::Arc;

use dos_protocol::{
    Code, Timestamp, WireError,
    control::{Event, FromPeerd, Outcome, What},
};
use tokio::sync::broadcast::error::RecvError;

use super::connection::Out;
use crate::Core;

/// Passes events on, beginning with how the session stands.
///
/// # Errors
/// `offline` when the daemon stops.
pub(super) async fn run(core: &Arc<Core>, out: &Out) -> Result<Outcome, WireError> {
    let mut events = core.events.watch();
    let state = core.upstream.status().borrow().state;
    let mut event = Event { at: Timestamp::now(), what: What::Session(state) };
    loop {
        if out.send(FromPeerd::Event(Box::new(event))).await.is_err() {
            return Err(WireError::new(Code::Offline, "dosctl hung up"));
        }
        event = loop {
            match events.recv().await {
                Ok(event) => break event,
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "a watcher is too slow"),
                Err(RecvError::Closed) => {
                    return Err(WireError::new(Code::Offline, "the daemon is stopping"));
                }
            }
        };
    }
}
