//! Reporting closed views to the directory: gathered for a moment, so that many views cost one request.
//!
//! What always holds: no view waits for a report; what could not be reported is reported in the next session, or after a while.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::turns::Turns;
use crate::{
    ledger::{Ledger, report_closed},
    upstream::Upstream,
};

/// For this time closed views are gathered: short beside the time that anybody keeps a state directory to put it back, long
/// enough that a busy viewer reports hundreds at once.
const GATHERED_FOR: Duration = Duration::from_millis(500);

/// Runs until `stop`: after each sign-in, and whenever views were closed.
pub(crate) async fn run(upstream: Arc<Upstream>, ledger: Arc<Ledger>, stop: CancellationToken) {
    let mut turns = Turns::new(&upstream, stop);
    while turns.next(&ledger.closings).await {
        let report = async {
            sleep(GATHERED_FOR).await;
            report_closed(&ledger).await
        };
        match turns.take(report).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::debug!(error = %error.message, "closed views are not reported yet");
            }
        }
    }
}
