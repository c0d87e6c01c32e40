//! The way from the command `gallery` to the gallery, which is above all commands: a question for an address and a token.
//!
//! What always holds: questions that wait are few; one that no one takes is answered by its being dropped.

use dos_protocol::{Code, WireError, model::Address};
use tokio::sync::{mpsc, oneshot};

/// Questions that wait: people ask one at a time.
const WAITING_MAX: usize = 8;

/// Where a browser finds the gallery.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// At a port of this machine.
    Port(Address),
    /// Behind the user's own proxy: scheme, host and port.
    Proxy(Box<str>),
}

/// Where the gallery is, and what lets one browser in, once.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) place: Place,
    pub(crate) token: Box<str>,
}

/// A question, where its answer goes.
pub(crate) type Asked = oneshot::Sender<Result<Pass, WireError>>;

/// Where commands ask.
#[derive(Debug)]
pub(crate) struct Entrance(mpsc::Sender<Asked>);

impl Entrance {
    /// An entrance, and where its questions come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (sender, asked) = mpsc::channel(WAITING_MAX);
        (Self(sender), asked)
    }

    /// Has the gallery served, and one browser let in.
    ///
    /// # Errors
    /// `internal` if it cannot be served; `offline` if the daemon is stopping.
    pub(crate) async fn ask(&self) -> Result<Pass, WireError> {
        let stopping = || WireError::new(Code::Offline, "the daemon is stopping");
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.map_err(|_| stopping())?;
        answered.await.unwrap_or_else(|_| Err(stopping()))
    }
}
