//! `shutdown`: the server ends, at once or later, and its peers know when and why.

use std::time::Duration;

use dos_protocol::{
    Code, Timestamp, WireError,
    admin::{Closing, FromDosd},
    directory::NoticeKind,
    duration::format_duration,
    limits::SHUTDOWN_DELAY_MAX,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Operator, Replies, Stop, check_text};

/// When the server is to end, and why.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    at: Instant,
    reason: Option<Box<str>>,
}

impl Operator {
    pub(super) async fn shutdown(
        &self,
        in_ms: Option<u64>,
        reason: Option<Box<str>>,
        replies: &mut Replies,
    ) -> Result<(), Stop> {
        reason.as_deref().map(check_text).transpose()?;
        let delay = Duration::from_millis(in_ms.unwrap_or(0));
        if delay > SHUTDOWN_DELAY_MAX {
            let why = format!("a shutdown is at most {} ahead", format_duration(SHUTDOWN_DELAY_MAX));
            return Err(WireError::new(Code::Invalid, why).into());
        }
        let about = format!("in {}", format_duration(delay));
        self.note(Self::acted("shutdown", reason.clone(), replies), about).await?;
        let live = &self.directory.live;
        let told = if delay.is_zero() {
            // They are notified when it happens, which is now.
            u64::try_from(live.count()).unwrap_or(u64::MAX)
        } else {
            let what = format!("the directory shuts down in {}", format_duration(delay));
            live.say_here(NoticeKind::Shutdown, &with_reason(what, reason.as_deref()))
        };
        tracing::info!(in_s = delay.as_secs(), reason = reason.as_deref(), "a shutdown is planned");
        // The answer first: afterwards no server is there to give it.
        let at = Timestamp::now().after(delay);
        let answered = replies.send(FromDosd::Closing(Closing { at, told })).await;
        self.plan.send_replace(Some(Plan { at: Instant::now() + delay, reason }));
        Ok(answered?)
    }
}

/// Waits until a shutdown is due, and gives the text for the peers.
pub(crate) async fn due(plan: &mut watch::Receiver<Option<Plan>>) -> String {
    loop {
        let planned = plan.borrow_and_update().clone();
        match planned {
            Some(planned) => tokio::select! {
                () = sleep_until(planned.at) => return closing(planned.reason.as_deref()),
                Ok(()) = plan.changed() => {}
            },
            None if plan.changed().await.is_ok() => {}
            None => std::future::pending().await,
        }
    }
}

/// The text for the peers when the server ends.
pub(crate) fn closing(reason: Option<&str>) -> String {
    with_reason("the directory is shutting down".into(), reason)
}

fn with_reason(what: String, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    }
}
