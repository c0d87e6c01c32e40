//! The commands' side of the operator's door: one request, then its replies, blocking.

use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use dos_host::{
    lock::daemon_of,
    socket::{Stranger, check_listener},
};
use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, SOCKET_NAME, ToDosd},
    frame::{self, FrameError},
};
use interprocess::local_socket::{
    GenericFilePath, Stream, ToFsName,
    traits::{Stream as _, StreamCommon as _},
};

/// Why the server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No server runs on this data directory, or it is somebody else's.
    #[error("no dosd answers at {path}", path = .0.display())]
    NotRunning(PathBuf, #[source] io::Error),
    /// One runs, and its socket is not there.
    #[error("dosd runs on this data directory (process {1}), but no one answers at {path}", path = .0.display())]
    NoSocket(PathBuf, u32),
    /// Somebody else listens on the socket.
    #[error("the socket {path} is not this user's dosd", path = .0.display())]
    Stranger(PathBuf, #[source] Stranger),
    /// It hung up or spoke another language.
    #[error("dosd did not answer")]
    Broken(#[from] FrameError),
    /// It takes too long.
    #[error("dosd did not answer in time")]
    Slow,
    /// It answered something else.
    #[error("dosd gave an answer that this command does not know")]
    Unexpected,
    /// It refused.
    #[error(transparent)]
    Refused(WireError),
}

impl From<AskError> for WireError {
    fn from(error: AskError) -> Self {
        let text = error.to_string();
        match error {
            AskError::NotRunning(_, cause) => {
                Self::new(Code::NoDaemon, text).caused_by(cause.to_string()).hint("dosd serve")
            }
            // The server binds its socket again within seconds.
            AskError::NoSocket(..) => Self::new(Code::NoDaemon, text),
            AskError::Stranger(_, cause) => Self::new(Code::NoDaemon, text).caused_by(cause.to_string()),
            AskError::Broken(cause) => Self::new(Code::Internal, text).caused_by(cause.to_string()),
            AskError::Slow => Self::new(Code::Timeout, text),
            AskError::Unexpected => Self::new(Code::Internal, text),
            AskError::Refused(error) => error,
        }
    }
}

/// The replies to a request, as they come.
#[derive(Debug)]
pub struct Answers(Stream);

impl Answers {
    /// Asks the server that runs on `data_dir`. Every reply may take `patience`, or as long as it likes.
    ///
    /// # Errors
    /// As in [`AskError`].
    pub fn to(data_dir: &Path, request: &ToDosd, patience: Option<Duration>) -> Result<Self, AskError> {
        let path = data_dir.join(SOCKET_NAME);
        let connect = || Stream::connect(path.as_path().to_fs_name::<GenericFilePath>()?);
        let mut stream = connect().map_err(|error| match daemon_of(data_dir) {
            Some(process) => AskError::NoSocket(path.clone(), process),
            None => AskError::NotRunning(path.clone(), error),
        })?;
        let listener = stream.peer_creds().ok().and_then(|listener| listener.euid());
        check_listener(&path, listener).map_err(|error| AskError::Stranger(path.clone(), error))?;
        stream.set_recv_timeout(patience).map_err(FrameError::Io)?;
        stream.write_all(&frame::to_frame(request)?).map_err(FrameError::Io)?;
        Ok(Self(stream))
    }

    /// The next reply.
    ///
    /// # Errors
    /// As in [`AskError`].
    pub fn next_reply(&mut self) -> Result<FromDosd, AskError> {
        let body = match frame::read_blocking(&mut self.0) {
            Err(FrameError::Io(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                return Err(AskError::Slow);
            }
            body => body?.ok_or(FrameError::Cut)?,
        };
        match frame::decode(&body)? {
            FromDosd::Failed(error) => Err(AskError::Refused(error)),
            reply => Ok(reply),
        }
    }

    /// Waits until the server hangs up.
    pub fn wait_for_end(mut self) {
        while let Ok(Some(_)) = frame::read_blocking(&mut self.0) {}
    }
}
