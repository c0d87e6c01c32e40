//! The commands' side of the operator's door: one blocking request.

use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
};

use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, SOCKET_NAME, ToDosd},
    frame::{self, FrameError},
};
use interprocess::local_socket::{GenericFilePath, Stream, ToFsName, traits::Stream as _};

/// Why the server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No server runs on this data directory, or it is somebody else's.
    #[error("no dosd answers at {path}", path = .0.display())]
    NotRunning(PathBuf, #[source] io::Error),
    /// It hung up or spoke another language.
    #[error("dosd did not answer")]
    Broken(#[from] FrameError),
    /// It refused.
    #[error(transparent)]
    Refused(WireError),
}

impl AskError {
    /// The exit code of a command that ends with this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotRunning(..) => Code::NoDaemon.exit_code(),
            Self::Broken(_) => Code::Internal.exit_code(),
            Self::Refused(error) => error.code.exit_code(),
        }
    }
}

/// Asks the server that runs on `data_dir`.
///
/// # Errors
/// As in [`AskError`].
pub fn ask(data_dir: &Path, request: &ToDosd) -> Result<FromDosd, AskError> {
    let path = data_dir.join(SOCKET_NAME);
    let connect = || Stream::connect(path.as_path().to_fs_name::<GenericFilePath>()?);
    let mut stream = connect().map_err(|error| AskError::NotRunning(path.clone(), error))?;
    stream.write_all(&frame::to_frame(request)?).map_err(FrameError::Io)?;
    let body = frame::read_blocking(&mut stream)?.ok_or(FrameError::Cut)?;
    match frame::decode(&body)? {
        FromDosd::Failed(error) => Err(AskError::Refused(error)),
        reply @ FromDosd::Link(_) => Ok(reply),
    }
}
