//! `view`: spends one view and streams the original to the caller.
//!
//! What always holds: nothing is spent before the caller has room for the original, if it says so; the view is over before the
//! first byte is given, so that it is given once; memory does not grow with it.

use std::{fs::File, io::Read, sync::Arc};

use dos_protocol::{
    Code, ImageArg, ImageId, WireError,
    control::{Outcome, Progress, Spends, Step},
    limits::DATA_BYTES_MAX,
};
use dos_sealed::Opener;
use futures_util::future::BoxFuture;

use super::{Piece, Services, Sink};
use crate::{
    copies::blocking,
    ledger::{self, Caller},
};

/// The caller of a view.
struct Viewer {
    sink: Sink,
    /// Whether it wants to be told how much will come, and answers.
    asks: bool,
}

impl Caller for Viewer {
    fn progress(&self, progress: Progress) {
        self.sink.progress(progress);
    }

    fn ready(&self, bytes: u64, spends: Option<Spends>) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(async move {
            if self.asks {
                self.sink.ready(bytes, spends).await?;
            }
            Ok(())
        })
    }

    fn closing(&self) {
        self.sink.begin();
    }
}

/// Opens the image for one view and streams it.
///
/// # Errors
/// `denied`, `not_found`, `offline` as they apply.
pub(super) async fn run(
    services: &Arc<Services>,
    (image, offline): (ImageArg, bool),
    asks: bool,
    sink: Sink,
) -> Result<Outcome, WireError> {
    let viewer = Viewer { sink, asks };
    let opened = Box::pin(ledger::view(&services.ledger, &image, offline, &viewer)).await?;
    let (sink, original) = (viewer.sink, opened.original);
    let (image_id, bytes) = blocking(move || stream(original, &sink)).await??;
    if opened.is_granted {
        services.counters.views_shown.inc();
    }
    Ok(Outcome::Viewed { path: opened.path, image_id, bytes, views_left: opened.views_left })
}

fn stream(mut original: Opener<File>, sink: &Sink) -> Result<(ImageId, u64), WireError> {
    // Once is enough for it to know how far it is: it counts the pieces.
    let begun = Progress { step: Step::Opening, done: 0, total: original.plain_len() };
    sink.give_blocking(Piece::Progress(begun))?;
    let mut hasher = blake3::Hasher::new();
    let limit = u64::try_from(DATA_BYTES_MAX).unwrap_or(u64::MAX);
    loop {
        let mut piece = Vec::with_capacity(DATA_BYTES_MAX);
        (&mut original).take(limit).read_to_end(&mut piece).map_err(|error| {
            WireError::new(Code::Invalid, "the sealed copy does not open").caused_by(error.to_string())
        })?;
        if piece.is_empty() {
            return Ok((ImageId::from(*hasher.finalize().as_bytes()), original.plain_len()));
        }
        hasher.update(&piece);
        sink.give_blocking(Piece::Data(piece))?;
    }
}
