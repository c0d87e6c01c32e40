//! What the service manager learns of a running daemon: that it serves, how its session stands, and that it works.
//!
//! Works means: the runtime runs tasks, and the store's writer answers. A daemon of which one of these hangs gives no sign of
//! life any more and is restarted. Whether the directory can be reached does not matter here: a restart would not help.

use std::sync::Arc;

use dos_daemon::{notify, watchdog};
use dos_protocol::control::SessionState;

use crate::{commands::Services, identity::Identity, upstream::Status};

/// Tells, from the moment the daemon serves until it is cancelled.
pub(crate) async fn tell(services: Arc<Services>) {
    notify::ready();
    if !notify::is_heard() {
        return;
    }
    tokio::join!(tell_session(&services), show_life(&services));
}

async fn tell_session(services: &Services) {
    let mut session = services.upstream.status();
    loop {
        let now = session.borrow_and_update().clone();
        notify::status(&in_words(&now, services.identity.any().as_deref()));
        if session.changed().await.is_err() {
            return;
        }
    }
}

async fn show_life(services: &Services) {
    let Some(patience) = watchdog::patience() else { return };
    watchdog::feed(patience, || {
        let store = services.store.clone();
        async move { store.answers().await }
    })
    .await;
}

fn in_words(session: &Status, identity: Option<&Identity>) -> String {
    let who = identity.and_then(|identity| {
        let id = identity.id?;
        Some(identity.name.as_ref().map_or_else(|| id.to_string(), |name| format!("{id} ({name})")))
    });
    let mut text = match (session.state, who) {
        (SessionState::Online, Some(who)) => format!("online as {who}"),
        (state, _) => state.as_str().to_owned(),
    };
    if let Some(trouble) = &session.trouble {
        text = format!("{text}: {trouble}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{counters::Counters, upstream::Upstream};

    #[tokio::test]
    async fn the_session_is_told_in_one_line() {
        let (upstream, _ends) = Upstream::new(Counters::default());
        let mut status = upstream.status().borrow().clone();
        assert_eq!(in_words(&status, None), "unregistered");
        status.state = SessionState::Connecting;
        status.trouble = Some("cannot reach the directory".into());
        assert_eq!(in_words(&status, None), "connecting: cannot reach the directory");
    }
}
