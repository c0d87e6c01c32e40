//! `watch`: events as they happen, until the caller hangs up; all of them, or what has to do with some peers.

use std::{collections::HashSet, sync::Arc};

use dos_protocol::{
    Code, PeerRef, Timestamp, WireError,
    control::{Event, EventKind, Outcome},
    directory::{Notice, NoticeKind},
    limits::SUBSCRIBED_PEERS_MAX,
};
use tokio::sync::broadcast::error::RecvError;

use super::{Piece, Services, Sink, resolve::resolve};
use crate::events::Whom;

/// Passes events on, beginning with how the session stands.
///
/// # Errors
/// `not_found` for an unknown peer; `offline` for a name while the directory is out of reach, and when the daemon stops.
pub(super) async fn run(
    services: &Arc<Services>,
    peers: Vec<PeerRef>,
    sink: &Sink,
) -> Result<Outcome, WireError> {
    let watching = services.presence.watch(whom(services, peers).await?);
    let mut events = services.feed.events.watch();
    watching.settled(&services.upstream).await;
    let state = services.upstream.status().borrow().state;
    let mut event = Event::new(Timestamp::now(), EventKind::Session(state));
    loop {
        sink.give(Piece::Event(Box::new(event))).await?;
        event = loop {
            match events.recv().await {
                Ok(event) if watching.whom().are_concerned(&event.what) => break event,
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => break lagged(missed),
                Err(RecvError::Closed) => {
                    return Err(WireError::new(Code::Offline, "the daemon is stopping"));
                }
            }
        };
    }
}

/// That a watcher was too slow.
fn lagged(missed: u64) -> Event {
    let text = format!("{missed} events came too fast to be shown");
    let missed = Notice { kind: NoticeKind::Missed, text: text.into() };
    Event::new(Timestamp::now(), EventKind::Notice(missed))
}

async fn whom(services: &Services, peers: Vec<PeerRef>) -> Result<Whom, WireError> {
    if peers.is_empty() {
        return Ok(Whom::Everybody);
    }
    if peers.len() > SUBSCRIBED_PEERS_MAX {
        let text = format!("at most {SUBSCRIBED_PEERS_MAX} peers can be watched by name");
        return Err(WireError::new(Code::Usage, text).hint("dosctl watch"));
    }
    let is_online = services.upstream.is_online();
    let mut ids = HashSet::new();
    for peer in peers {
        ids.insert(match peer {
            // What is here already can be watched without the directory.
            PeerRef::Id(id) if !is_online => id,
            peer => resolve(services, peer).await?.id,
        });
    }
    Ok(Whom::These(Arc::new(ids)))
}
