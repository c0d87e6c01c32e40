//! What happens, as it happens, for pages that are open (server-sent events): what kind of thing and what it is about. A page then
//! fetches what has changed, as it is for everybody who opens it.
//!
//! What always holds: streams are few; one ends with its session and with the gallery, and does not keep its session from ending.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use dos_protocol::control::{self, Command, EventKind};
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Gallery, answer::Refusal, limits::STREAM_SIGN, sessions::Visitor};
use crate::commands::{NoUpload, Piece, perform, sink};

/// A window that receives what happens.
struct Stream {
    watching: JoinHandle<()>,
    pieces: mpsc::Receiver<Piece>,
    ends: [CancellationToken; 2],
    _place: OwnedSemaphorePermit,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Streams until the window is closed.
pub(super) async fn events(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let Ok(place) = Arc::clone(&gallery.streams).try_acquire_owned() else {
        return Refusal::plain(StatusCode::SERVICE_UNAVAILABLE, "too many windows are open").into_response();
    };
    let (sink, pieces) = sink();
    let services = Arc::clone(&gallery.services);
    let watching = tokio::spawn(async move {
        let watch = Command::Watch { peers: Vec::new() };
        // It ends with the window or the daemon, and neither is worth a word.
        drop(Box::pin(perform(&services, watch, &mut NoUpload, sink)).await);
    });
    let ends = [visitor.ended, gallery.stop.clone()];
    let stream = Stream { watching, pieces, ends, _place: place };
    let events = stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        let [session, stop] = stream.ends.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = session.cancelled() => Some((Ok::<_, Infallible>(Event::default().data("ended")), None)),
            piece = stream.pieces.recv() => match piece? {
                Piece::Event(event) => Some((Ok(Event::default().data(told(&event))), Some(stream))),
                _ => Some((Ok(Event::default().comment("")), Some(stream))),
            },
        }
    });
    // A proxy that collects what it passes on would hold back what happens.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];
    (unbuffered, Sse::new(events).keep_alive(KeepAlive::new().interval(STREAM_SIGN))).into_response()
}

/// The kind of an event, and the image or peer that it is about.
fn told(event: &control::Event) -> String {
    match &event.what {
        EventKind::Session(state) => format!("session {}", state.as_str()),
        EventKind::Grant(grant) if grant.revoked => format!("revoked {}", grant.path),
        EventKind::Grant(grant) => format!("grant {}", grant.path),
        EventKind::Viewed { grant, .. } => format!("viewed {}", grant.path),
        EventKind::Removed(path) => format!("removed {path}"),
        EventKind::Renamed { path, .. } => format!("renamed {path}"),
        EventKind::Image(image) => format!("{} {}", image.change.as_str(), image.path),
        EventKind::Named { id, .. } => format!("named {id}"),
        EventKind::Left { id, .. } => format!("left {id}"),
        EventKind::Fetched(path) => format!("fetched {path}"),
        EventKind::Request(request) => format!("request {}", request.path),
        EventKind::Decision(request) => format!("decision {}", request.path),
        EventKind::Notice(_) => "notice".into(),
        EventKind::Presence(presence) => format!("presence {}", presence.id),
        EventKind::Message(message) => format!("message {}", message.from),
        EventKind::Contact(contact) => format!("contact {}", contact.from),
        EventKind::KeyChange(contact) => format!("key_change {}", contact.id),
        EventKind::Invite(_) => "invite".into(),
    }
}
