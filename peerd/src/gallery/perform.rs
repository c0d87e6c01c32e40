//! Has commands carried out for a page.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageNo, WireError,
    control::{Command, Event, ListQuery, Outcome},
    directory::Cursor,
    model::{ImageInfo, ImagePath, PeerInfo, PeerRef},
};

use super::Gallery;
use crate::commands::{self, Finished, Kept, NoUpload, Piece, perform, sink};

/// That an outcome is not one of its command.
pub(super) fn unexpected() -> WireError {
    WireError::new(Code::Internal, "a command had an unexpected outcome")
}

async fn run(gallery: &Arc<Gallery>, command: Command) -> Result<Finished, WireError> {
    run_with_events(gallery, command).await.map(|(finished, _)| finished)
}

/// Has a command carried out; what came of it, and the events that it gave, which are few.
async fn run_with_events(
    gallery: &Arc<Gallery>,
    command: Command,
) -> Result<(Finished, Vec<Event>), WireError> {
    let (sink, mut pieces) = sink();
    let mut none = NoUpload;
    let work = Box::pin(perform(&gallery.services, command, &mut none, sink));
    let (mut kept, mut events) = (Kept::default(), Vec::new());
    let collect = async {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Part(part) => kept.add(*part),
                Piece::Event(event) => events.push(*event),
                _ => {}
            }
        }
    };
    let (finished, ()) = tokio::join!(work, collect);
    let Finished { outcome, then } = finished?;
    Ok((Finished { outcome: kept.with(outcome), then }, events))
}

/// What came of a command that changes nothing.
///
/// # Errors
/// As the command says.
pub(super) async fn ask(gallery: &Arc<Gallery>, command: Command) -> Result<Outcome, WireError> {
    run(gallery, command).await.map(|finished| finished.outcome)
}

/// What came of a command, which its user gets to see: the same again is another change.
///
/// # Errors
/// As the command says.
pub(super) async fn change(gallery: &Arc<Gallery>, command: Command) -> Result<Outcome, WireError> {
    let Finished { outcome, then } = run(gallery, command).await?;
    if let Some(then) = then {
        then.shown(&gallery.services).await;
    }
    Ok(outcome)
}

/// A page of a listing.
pub(super) struct Listing {
    pub(super) peers: Vec<PeerInfo>,
    pub(super) next: Option<Cursor>,
    /// It is what the directory showed last, since it is out of reach.
    pub(super) is_old: bool,
}

/// A page of peers and images.
///
/// # Errors
/// As `list`.
pub(super) async fn list(gallery: &Arc<Gallery>, query: ListQuery) -> Result<Listing, WireError> {
    match ask(gallery, Command::List(query)).await? {
        Outcome::Page { peers, next, as_of } => Ok(Listing { peers, next, is_old: as_of.is_some() }),
        _ => Err(unexpected()),
    }
}

/// A page of images, the newest first; nothing if the directory cannot give one: it is out of reach, or of an earlier release.
///
/// # Errors
/// As `newest`.
pub(super) async fn newest(
    gallery: &Arc<Gallery>,
    (peer, mine): (Option<PeerRef>, bool),
    (before, limit): (Option<ImageNo>, u32),
) -> Result<Option<(Vec<PeerInfo>, Option<ImageNo>)>, WireError> {
    if gallery.services.upstream.is_out_of_reach() {
        return Ok(None);
    }
    match ask(gallery, Command::Newest { peer, mine, before, limit: Some(limit) }).await {
        Ok(Outcome::Newest { peers, before }) => Ok(Some((peers, before))),
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

/// What has happened of late, the oldest first. Shown to a person it is no news any more.
///
/// # Errors
/// As `news`.
pub(super) async fn news(gallery: &Arc<Gallery>, is_person: bool) -> Result<Vec<Event>, WireError> {
    let (finished, events) = run_with_events(gallery, Command::News { all: true }).await?;
    if is_person && let Some(then) = finished.then {
        then.shown(&gallery.services).await;
    }
    Ok(events)
}

/// An image with its owner, whose own images are left out.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn image(
    gallery: &Arc<Gallery>,
    path: &ImagePath,
) -> Result<(PeerInfo, ImageInfo), WireError> {
    commands::image(&gallery.services, path).await
}
