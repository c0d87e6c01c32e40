//! The directory as the parts below the session see it: something that answers requests. The session implements it; a test
//! answers in its place.

use std::fmt::Debug;

use dos_protocol::{
    Code, ImageArg, OperationId, PeerRef, WireError,
    directory::{Answer, Op},
    model::PreviewSize,
};
use futures_util::future::BoxFuture;

/// What becomes of a request whose answer was lost with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It fails.
    Never,
    /// It is sent again: doing it twice is as good as once.
    Always,
    /// It is sent again under the same ID, by which the directory knows that it has done it already.
    Under(OperationId),
}

/// Answers requests.
pub(crate) trait Directory: Debug + Send + Sync {
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// What the directory refuses; `offline` without a session; `timeout`.
    fn send(&self, op: Op, repeat: Repeat) -> BoxFuture<'_, Result<Answer, Unanswered>>;

    /// Waits a moment for a session.
    ///
    /// # Errors
    /// `offline` if none comes about.
    fn ready(&self) -> BoxFuture<'_, Result<(), WireError>>;

    /// Whether there is a session.
    fn is_online(&self) -> bool;

    /// Up to which size it keeps previews, as it has said last.
    fn preview_size(&self) -> PreviewSize;
}

impl dyn Directory + '_ {
    /// Sends a request once; later, if the directory says that it is too early.
    ///
    /// # Errors
    /// As [`Directory::send`].
    pub(crate) async fn request(&self, op: Op) -> Result<Answer, WireError> {
        self.send(op, Repeat::Never).await.map_err(|failed| failed.error)
    }

    /// Sends a request that may be done any number of times, again after lost connections.
    ///
    /// # Errors
    /// As [`Directory::send`], after trying for some seconds.
    pub(crate) async fn request_again(&self, op: Op) -> Result<Answer, WireError> {
        self.request_tracked(op).await.map_err(|failed| failed.error)
    }

    /// Sends a change, again after lost connections, that is done once however often it comes to the directory: a server that goes on late
    /// with what it had accepted does not undo what came after it.
    ///
    /// # Errors
    /// As [`Self::request_again`].
    pub(crate) async fn request_once(&self, op: Op) -> Result<Answer, WireError> {
        let repeat = Repeat::Under(OperationId::generate());
        self.send(op, repeat).await.map_err(|failed| failed.error)
    }

    /// As [`Self::request_again`], for a caller that must know whether the directory may have done it nevertheless.
    ///
    /// # Errors
    /// As [`Self::request_again`].
    pub(crate) async fn request_tracked(&self, op: Op) -> Result<Answer, Unanswered> {
        self.send(op, Repeat::Always).await
    }
}

/// A request without an answer that says what was done.
#[derive(Debug, Clone)]
pub(crate) struct Unanswered {
    /// Why.
    pub(crate) error: WireError,
    /// It was sent, and its outcome is unknown. If not, nothing was done.
    pub(crate) perhaps_done: bool,
}

/// There is no identity.
#[must_use]
pub(crate) fn unregistered() -> WireError {
    WireError::new(Code::Offline, "not registered").hint("dosctl register --server LINK")
}

/// The directory answered with something that does not belong to the request.
#[must_use]
pub(crate) fn unexpected() -> WireError {
    WireError::new(Code::Internal, "the directory gave an answer to another request")
}

/// The directory's answer that there is no such image, in the words of the question: the directory was asked by the owner's ID, which is
/// not what a person has typed.
#[must_use]
pub(crate) fn no_image(asked: &ImageArg, error: WireError) -> WireError {
    match &asked.owner {
        Some(PeerRef::Name(_)) if error.code == Code::NotFound => {
            WireError { message: format!("there is no image {asked}").into(), ..error }
        }
        _ => error,
    }
}
