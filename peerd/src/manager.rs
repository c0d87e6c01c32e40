//! What the service manager learns of a running daemon: how its session stands, and that it works.
//!
//! Works means: the runtime runs tasks, and the store's writer answers. Whether the directory can be reached does not matter here: a restart would not help.

use std::sync::Arc;

use dos_daemon::{manager, notify};
use dos_protocol::control::SessionState;

use crate::{commands::Services, identity::Identity, upstream::Status};

/// Reports from the moment the daemon serves until it is cancelled.
pub(crate) async fn report(services: Arc<Services>) {
    let works = || {
        let store = services.store.clone();
        async move { store.answers().await }
    };
    manager::report(report_session(&services), works).await;
}

async fn report_session(services: &Services) {
    let mut session = services.upstream.status();
    loop {
        let now = session.borrow_and_update().clone();
        notify::status(&in_words(&now, services.identity.any().as_deref()));
        if session.changed().await.is_err() {
            return;
        }
    }
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
