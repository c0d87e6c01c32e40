//! Has commands carried out for a page.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    control::{Command, ListQuery, Outcome},
    directory::Cursor,
    model::{ImageInfo, ImagePath, PeerInfo, PeerRef},
};

use super::{Gallery, limits::LISTINGS_FOR_ONE_MAX};
use crate::commands::{Finished, Kept, NoUpload, Piece, perform, sink};

/// That an outcome is not one of its command.
pub(super) fn unexpected() -> WireError {
    WireError::new(Code::Internal, "a command had an unexpected outcome")
}

async fn run(gallery: &Arc<Gallery>, command: Command) -> Result<Finished, WireError> {
    let (sink, mut pieces) = sink();
    let mut none = NoUpload;
    let work = Box::pin(perform(&gallery.services, command, &mut none, sink));
    let mut kept = Kept::default();
    let collect = async {
        while let Some(piece) = pieces.recv().await {
            if let Piece::Part(part) = piece {
                kept.add(*part);
            }
        }
    };
    let (finished, ()) = tokio::join!(work, collect);
    let Finished { outcome, then } = finished?;
    Ok(Finished { outcome: kept.with(outcome), then })
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

/// An image with its owner, whose own images are left out.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn image(
    gallery: &Arc<Gallery>,
    path: &ImagePath,
) -> Result<(PeerInfo, ImageInfo), WireError> {
    // A listing begins after a name: that which is shorter by its last letter comes before it.
    let mut before = path.name.as_str().chars();
    before.next_back();
    let before = before.as_str().trim_end().parse().ok();
    let mut after = before.map(|name| Cursor { peer: path.owner, image: Some(name) });
    if gallery.services.upstream.is_out_of_reach() {
        // What is remembered has no pages.
        after = None;
    }
    for _ in 0..LISTINGS_FOR_ONE_MAX {
        let query = ListQuery {
            peer: Some(PeerRef::Id(path.owner)),
            after,
            limit: Some(dos_protocol::limits::PAGE_DEFAULT),
            ..ListQuery::default()
        };
        let Listing { peers, next, .. } = list(gallery, query).await?;
        for mut peer in peers {
            let images = std::mem::take(&mut peer.images);
            if let Some(image) = images.into_iter().find(|image| image.name == path.name) {
                return Ok((peer, image));
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Err(WireError::new(Code::NotFound, format!("there is no picture \"{}\" of this peer", path.name)))
}
