//! Why sessions end: in full for the log, as one value for the store.

use dos_protocol::{
    WireError,
    directory::{Notice, NoticeKind},
    frame::FrameError,
    model::SessionEnd,
};

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    /// The peer signed out.
    #[error("signed out")]
    SignedOut,
    /// The peer hung up.
    #[error("the connection was closed")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] FrameError),
    /// Nothing came for too long.
    #[error("silent for too long")]
    Silent,
    /// The peer took nothing for too long.
    #[error("took nothing for too long")]
    Stalled,
    /// The directory ended it, with this notice.
    #[error("{}", .0.text)]
    Notified(Notice),
    /// It did not sign in, or was refused.
    #[error("not signed in")]
    Refused(#[source] WireError),
    /// Another session of the peer has acknowledged the updates that this one was to send next.
    #[error("its next updates were forgotten meanwhile")]
    Forgotten,
    /// It broke the protocol.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
}

impl End {
    /// Whether the log needs no cause for it.
    pub(crate) fn is_ordinary(&self) -> bool {
        matches!(self, Self::SignedOut | Self::Closed | Self::Notified(_))
    }

    /// Whether a newer session of the peer has taken its place.
    pub(super) fn is_replaced(&self) -> bool {
        matches!(self, Self::Notified(Notice { kind: NoticeKind::TakenOver | NoticeKind::Replaced, .. }))
    }

    /// As the store keeps it.
    pub(super) fn for_store(&self) -> SessionEnd {
        match self {
            Self::SignedOut => SessionEnd::SignedOut,
            Self::Closed | Self::Broken(FrameError::Io(_) | FrameError::Cut) => SessionEnd::Closed,
            Self::Notified(Notice { kind, .. }) => match kind {
                NoticeKind::Shutdown => SessionEnd::Shutdown,
                NoticeKind::TakenOver => SessionEnd::TakenOver,
                NoticeKind::Kicked => SessionEnd::Kicked,
                NoticeKind::Idle => SessionEnd::Idle,
                NoticeKind::Replaced => SessionEnd::TakenOver,
                NoticeKind::Superseded
                | NoticeKind::Announcement
                | NoticeKind::Missed
                | NoticeKind::Restored => SessionEnd::Closed,
            },
            Self::Broken(_)
            | Self::Silent
            | Self::Stalled
            | Self::Refused(_)
            | Self::Forgotten
            | Self::Protocol(_) => SessionEnd::Dropped,
        }
    }
}
