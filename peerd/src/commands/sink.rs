//! What a command and its caller pass each other while it runs. What waits to be taken is bounded: a command does not run
//! ahead of its caller.

use dos_protocol::{
    WireError,
    control::{Event, Outcome, Progress},
};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

/// Pieces that wait to be taken; one of a file has 256 KiB.
const PIECES_WAITING: usize = 4;

/// What a command gives before its outcome.
#[derive(Debug)]
pub(crate) enum Piece {
    /// How far a transfer is.
    Progress(Progress),
    /// The next bytes of an original.
    Data(Vec<u8>),
    /// Something happened.
    Event(Box<Event>),
    /// A part of a long outcome.
    Part(Box<Outcome>),
}

/// The caller takes nothing any more.
#[derive(Debug)]
pub(crate) struct HungUp;

impl From<HungUp> for WireError {
    fn from(_: HungUp) -> Self {
        Self::new(dos_protocol::Code::Offline, "the caller hung up")
    }
}

/// Where a command gives its pieces.
#[derive(Debug, Clone)]
pub(crate) struct Sink(mpsc::Sender<Piece>);

/// A sink, and where its pieces come out.
pub(crate) fn sink() -> (Sink, mpsc::Receiver<Piece>) {
    let (sender, pieces) = mpsc::channel(PIECES_WAITING);
    (Sink(sender), pieces)
}

impl Sink {
    /// Gives a piece, as soon as the caller takes it.
    ///
    /// # Errors
    /// If the caller has hung up.
    pub(crate) async fn give(&self, piece: Piece) -> Result<(), HungUp> {
        self.0.send(piece).await.map_err(|_| HungUp)
    }

    /// As [`Sink::give`], off the asynchronous threads.
    ///
    /// # Errors
    /// If the caller has hung up.
    pub(crate) fn give_blocking(&self, piece: Piece) -> Result<(), HungUp> {
        self.0.blocking_send(piece).map_err(|_| HungUp)
    }

    /// Tells how far a transfer is, if the caller takes it at once: later it would be outdated.
    pub(crate) fn progress(&self, progress: Progress) {
        drop(self.0.try_send(Piece::Progress(progress)));
    }
}

/// A file that the caller brings, in pieces.
pub(crate) trait Upload: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// If the file ends before it is whole.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>>;
}

/// Of a command that brings no file.
#[derive(Debug)]
pub(crate) struct NoUpload;

impl Upload for NoUpload {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>> {
        Box::pin(async { Ok(None) })
    }
}
