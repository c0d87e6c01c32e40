//! `view`: spends one view and streams the original to the caller.
//!
//! What always holds: the view stays open until the caller says that the picture was shown; memory does not grow with it.

use std::{fs::File, io::Read, path::PathBuf, sync::Arc};

use dos_protocol::{
    Code, ImageArg, ImageId, WireError,
    control::{Outcome, Progress, Step},
    limits::DATA_BYTES_MAX,
};
use dos_sealed::{ContentKey, Opener};

use super::{Finished, Piece, Services, Sink, WhenShown};
use crate::{copies::blocking, ledger};

/// Opens the image for one view and streams it.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(super) async fn run(
    services: &Arc<Services>,
    image: ImageArg,
    offline: bool,
    sink: Sink,
) -> Result<Finished, WireError> {
    let progress = |progress| sink.progress(progress);
    let opened = Box::pin(ledger::view(&services.ledger, &image, offline, &progress)).await?;
    let path = services.cache.copies.path(&opened.hash);
    let key = opened.key;
    let (image_id, bytes) = blocking(move || stream(path, &key, &sink)).await??;
    let outcome = Outcome::Viewed { path: opened.path, image_id, bytes, views_left: opened.views_left };
    Ok(Finished { outcome, then: opened.view.map(WhenShown::Close) })
}

fn stream(path: PathBuf, key: &ContentKey, sink: &Sink) -> Result<(ImageId, u64), WireError> {
    let unreadable = |error: &dyn std::error::Error| {
        WireError::new(Code::Invalid, "the sealed copy does not open").caused_by(error.to_string())
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut opener = Opener::new(file, key).map_err(|error| unreadable(&error))?;
    // Once is enough for it to know how far it is: it counts the pieces.
    let begun = Progress { step: Step::Opening, done: 0, total: opener.plain_len() };
    sink.give_blocking(Piece::Progress(begun))?;
    let mut hasher = blake3::Hasher::new();
    let limit = u64::try_from(DATA_BYTES_MAX).unwrap_or(u64::MAX);
    loop {
        let mut piece = Vec::with_capacity(DATA_BYTES_MAX);
        (&mut opener).take(limit).read_to_end(&mut piece).map_err(|error| unreadable(&error))?;
        if piece.is_empty() {
            return Ok((ImageId::from(*hasher.finalize().as_bytes()), opener.plain_len()));
        }
        hasher.update(&piece);
        sink.give_blocking(Piece::Data(piece))?;
    }
}
