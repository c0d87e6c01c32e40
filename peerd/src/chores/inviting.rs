//! Carrying out invitations: after each sign-in, and when a guest or an inviter has said something.
//!
//! What always holds: an inviter that has not answered is greeted again in every session, under the same operation, so that what a
//! directory has lost is said again.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    invitations::{self, Invitations},
    upstream::Upstream,
};

/// After something that failed while there is a session.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Runs until `stop`.
pub(crate) async fn run(upstream: Arc<Upstream>, inviting: Arc<Invitations>, stop: CancellationToken) {
    let mut status = upstream.status();
    let mut last_session = None;
    let mut failed = false;
    loop {
        let session = status.borrow_and_update().online();
        if session.is_none() || session == last_session {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = status.changed() => if changed.is_err() { return } else { continue },
                () = inviting.work.notified() => {}
                () = sleep(AGAIN_AFTER), if failed => {}
            }
        }
        if session.is_none() {
            continue;
        }
        last_session = session;
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            done = invitations::proceed(&inviting) => done,
        };
        failed = done.is_err();
        if let Err(error) = done {
            tracing::debug!(error = %error.message, "invitations are carried out later");
        }
    }
}
