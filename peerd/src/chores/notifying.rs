//! Desktop notifications, through the session bus.
//!
//! What always holds: the desktop gets as much as [`Digest`] lets pass and nothing faster; that there is no desktop, or one that does not
//! answer, holds up nothing.

use std::{sync::Arc, time::Duration};

use dos_protocol::control::Event;
use notify_rust::{Notification, Timeout};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    feed::Feed,
    identity::Identities,
    rules::notifying::{Digest, GATHER, PAUSE, Shown},
};

/// How long the desktop may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What it works with.
#[derive(Debug)]
pub(crate) struct Notifying {
    pub(crate) profile: Box<str>,
    pub(crate) identity: Arc<Identities>,
    pub(crate) feed: Arc<Feed>,
}

/// Runs until `stop`.
pub(crate) async fn run(notifying: Notifying, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tell(&notifying) => {}
    }
}

async fn tell(notifying: &Notifying) {
    let mut events = notifying.feed.events.watch();
    let (mut digest, mut not_before, mut works) = (Digest::default(), Instant::now(), true);
    loop {
        while digest.is_empty() {
            if !take(notifying, &mut events, &mut digest).await {
                return;
            }
        }
        let due = not_before.max(Instant::now() + GATHER);
        let gathering = async { while take(notifying, &mut events, &mut digest).await {} };
        tokio::select! {
            () = sleep_until(due) => {}
            () = gathering => {}
        }
        not_before = Instant::now() + PAUSE;
        let outcome = show(digest.take(&notifying.profile)).await;
        // Once, until it works again.
        if let (Err(why), true) = (&outcome, works) {
            tracing::warn!(why = &**why, "the desktop shows no notifications");
        }
        works = outcome.is_ok();
    }
}

/// Takes the next event; false when there are none any more.
async fn take(notifying: &Notifying, events: &mut Receiver<Event>, digest: &mut Digest) -> bool {
    match events.recv().await {
        Ok(event) => {
            if let Some((me, _)) = notifying.identity.registered() {
                digest.add(me, &event.what);
            }
            true
        }
        // There is more than anybody reads.
        Err(RecvError::Lagged(_)) => true,
        Err(RecvError::Closed) => false,
    }
}

async fn show(shown: Shown) -> Result<(), Box<str>> {
    let mut notification = Notification::new();
    notification.appname("dos").summary(&shown.summary).body(&shown.body);
    notification.icon("image-x-generic").timeout(Timeout::Default);
    match timeout(ANSWER_TIME_MAX, notification.show_async()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string().into()),
        Err(_) => Err("it does not answer".into()),
    }
}
