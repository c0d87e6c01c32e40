//! What a command and its caller pass each other while it runs. What waits to be taken is bounded: a command does not run
//! ahead of its caller.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Code, WireError,
    control::{Event, Outcome, Progress, Spends},
};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

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
    /// This many bytes will come, once the caller has room for them, and what is spent then.
    Ready(u64, Option<Spends>),
}

/// The caller takes nothing any more.
#[derive(Debug)]
pub(crate) struct HungUp;

impl From<HungUp> for WireError {
    fn from(_: HungUp) -> Self {
        Self::new(Code::Offline, "the caller hung up")
    }
}

/// A caller that was told what will come answers within this time: it looks for room on its disk, and may ask a person whether the
/// view is to be spent.
const GO_AHEAD_TIME_MAX: Duration = Duration::from_secs(600);

/// Where a command gives its pieces.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pieces: mpsc::Sender<Piece>,
    go_ahead: GoAhead,
}

/// What a command and its caller agree on: the caller says that it has room for what was announced, the command that it must not
/// be given up any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct GoAhead(Arc<(Notify, AtomicBool)>);

impl GoAhead {
    /// The caller has room.
    pub(crate) fn give(&self) {
        self.0.0.notify_one();
    }

    /// Whether something would be lost if the command were given up now.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.1.load(Ordering::Relaxed)
    }
}

/// A sink, and where its pieces come out.
pub(crate) fn sink() -> (Sink, mpsc::Receiver<Piece>) {
    let (sender, pieces) = mpsc::channel(PIECES_WAITING);
    (Sink { pieces: sender, go_ahead: GoAhead::default() }, pieces)
}

impl Sink {
    /// Gives a piece, as soon as the caller takes it.
    ///
    /// # Errors
    /// If the caller has hung up.
    pub(crate) async fn give(&self, piece: Piece) -> Result<(), HungUp> {
        self.pieces.send(piece).await.map_err(|_| HungUp)
    }

    /// Tells how many bytes will come, and waits until the caller has room for them.
    ///
    /// # Errors
    /// `offline` if the caller has hung up, `timeout` if it says nothing.
    pub(crate) async fn ready(&self, bytes: u64, spends: Option<Spends>) -> Result<(), WireError> {
        self.give(Piece::Ready(bytes, spends)).await?;
        let answered = timeout(GO_AHEAD_TIME_MAX, self.go_ahead.0.0.notified()).await;
        answered.map_err(|_| WireError::new(Code::Timeout, "the caller did not say whether it has room"))
    }

    /// From here on something is lost if the command is given up.
    pub(crate) fn begin(&self) {
        self.go_ahead.0.1.store(true, Ordering::Relaxed);
    }

    /// Through which the caller answers.
    pub(crate) fn go_ahead(&self) -> GoAhead {
        self.go_ahead.clone()
    }

    /// As [`Sink::give`], off the asynchronous threads.
    ///
    /// # Errors
    /// If the caller has hung up.
    pub(crate) fn give_blocking(&self, piece: Piece) -> Result<(), HungUp> {
        self.pieces.blocking_send(piece).map_err(|_| HungUp)
    }

    /// Tells how far a transfer is, if the caller takes it at once: later it would be outdated.
    pub(crate) fn progress(&self, progress: Progress) {
        drop(self.pieces.try_send(Piece::Progress(progress)));
    }
}

/// A file that the caller brings, in pieces.
pub(crate) trait Upload: Send {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// If the file ends before it is whole.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>>;

    /// Waits after the file until it is its turn, which the caller says if it was told that all is ready.
    ///
    /// # Errors
    /// If the caller goes away before.
    fn turn(&mut self) -> BoxFuture<'_, Result<(), WireError>>;
}

/// Of a command that brings no file.
#[derive(Debug)]
pub(crate) struct NoUpload;

impl Upload for NoUpload {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, WireError>> {
        Box::pin(async { Ok(None) })
    }

    fn turn(&mut self) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(async { Ok(()) })
    }
}
