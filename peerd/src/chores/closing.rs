//! Reporting closed views to the directory: gathered for a moment, so that many views cost one request.
//!
//! What always holds: no view waits for a report; what could not be reported is reported in the next session, or after a while.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    ledger::{Ledger, report_closed},
    upstream::Upstream,
};

/// For this time closed views are gathered: short beside the time that anybody keeps a state directory to put it back, long
/// enough that a busy viewer reports hundreds at once.
const GATHERED_FOR: Duration = Duration::from_millis(500);

/// After a report that failed while there is a session.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Runs until `stop`: after each sign-in, and whenever views were closed.
pub(crate) async fn run(upstream: Arc<Upstream>, ledger: Arc<Ledger>, stop: CancellationToken) {
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
                () = ledger.closings.notified() => {}
                () = sleep(AGAIN_AFTER), if failed => {}
            }
        }
        if session.is_none() {
            // The next session reports it.
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(GATHERED_FOR) => {}
        }
        last_session = session;
        let reported = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            reported = report_closed(&ledger) => reported,
        };
        failed = reported.is_err();
        if let Err(error) = reported {
            tracing::debug!(error = %error.message, "closed views are not reported yet");
        }
    }
}
