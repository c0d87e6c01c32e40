//! When a chore that needs the directory is due: after each sign-in, whenever there is something to do, and a while after it failed.

use std::time::Duration;

use dos_protocol::WireError;
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Status, Upstream};

/// After something that failed while there is a session.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The turns of one chore.
#[derive(Debug)]
pub(super) struct Turns {
    status: watch::Receiver<Status>,
    last_session: Option<u64>,
    failed: bool,
    stop: CancellationToken,
}

impl Turns {
    pub(super) fn new(upstream: &Upstream, stop: CancellationToken) -> Self {
        Self { status: upstream.status(), last_session: None, failed: false, stop }
    }

    /// Waits for the next turn; false when there is none any more. What is to be done without a session is done in the next one.
    pub(super) async fn next(&mut self, to_do: &Notify) -> bool {
        loop {
            let session = self.status.borrow_and_update().online();
            if session.is_none() || session == self.last_session {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return false,
                    changed = self.status.changed() => if changed.is_err() { return false } else { continue },
                    () = to_do.notified() => {}
                    () = sleep(AGAIN_AFTER), if self.failed => {}
                }
            }
            if session.is_some() {
                self.last_session = session;
                return true;
            }
        }
    }

    /// Does the work of a turn; nothing comes of it if the daemon stops meanwhile.
    pub(super) async fn take(
        &mut self,
        work: impl Future<Output = Result<(), WireError>>,
    ) -> Option<Result<(), WireError>> {
        let done = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            done = work => done,
        };
        self.failed = done.is_err();
        Some(done)
    }
}
