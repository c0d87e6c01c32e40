//! The operator's door: a local socket in the data directory, for its owner and root alone, never the network.
//!
//! The only module of the directory that names interprocess; the commands' side is [`ask`].

mod client;

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use client::{AskError, ask};
use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, ToDosd},
    frame::{self, Reader},
    limits::WRITE_STALL_MAX,
    paths::fits_socket,
};
use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName,
    tokio::{Listener, Stream},
    traits::{StreamCommon as _, tokio::Listener as _},
};
use tokio::{io::AsyncWriteExt, sync::Semaphore, time::timeout};

/// Commands served together.
const CONNECTIONS_MAX: usize = 16;

/// A command sends its request at once.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The path of the socket is longer than the system allows.
    #[error("the path {path} is too long for a socket; use a shorter data directory", path = .0.display())]
    TooLong(PathBuf),
    /// The socket cannot be made.
    #[error("cannot make the socket {path}", path = .0.display())]
    Socket(PathBuf, #[source] io::Error),
}

/// Answers the operator's commands.
pub(crate) trait Operate: Send + Sync + 'static {
    /// The answer to a request.
    fn operate(&self, request: ToDosd) -> Result<FromDosd, WireError>;
}

/// The open door.
pub(crate) struct Door {
    listener: Listener,
    owner: u32,
}

impl Door {
    /// Makes the socket at `path`. One that a dead server left is replaced: the caller holds the data directory's lock.
    pub(crate) fn open(path: &Path) -> Result<Self, AdminError> {
        if !fits_socket(path) {
            return Err(AdminError::TooLong(path.to_owned()));
        }
        let failed = |error| AdminError::Socket(path.to_owned(), error);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let name = path.to_fs_name::<GenericFilePath>().map_err(failed)?;
        let listener = ListenerOptions::new().name(name).create_tokio().map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = fs::metadata(path).map_err(failed)?.uid();
        Ok(Self { listener, owner })
    }

    /// Serves commands until it is dropped.
    pub(crate) async fn serve(self, operator: Arc<dyn Operate>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok(stream) if may_command(&stream, self.owner) => {
                    let operator = Arc::clone(&operator);
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, operator).await {
                            tracing::debug!(%error, "an operator's command went away");
                        }
                        drop(place);
                    });
                }
                Ok(_) => tracing::warn!("refused another user's command"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an operator's command");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// The data directory's owner and root.
fn may_command(stream: &Stream, owner: u32) -> bool {
    stream.peer_creds().ok().and_then(|creds| creds.euid()).is_some_and(|user| user == owner || user == 0)
}

async fn answer(stream: Stream, operator: Arc<dyn Operate>) -> Result<(), frame::FrameError> {
    let mut reader = Reader::new(stream);
    let body = match timeout(REQUEST_TIME_MAX, reader.next()).await {
        Err(_) => return Err(frame::FrameError::Slow),
        Ok(body) => body?,
    };
    let Some(body) = body else { return Ok(()) };
    let result = match frame::decode(&body) {
        Ok(request) => operator.operate(request),
        Err(error) => Err(WireError::new(Code::Unsupported, error.to_string())),
    };
    let reply = frame::to_frame(&result.unwrap_or_else(FromDosd::Failed))?;
    let stream = reader.get_mut();
    let writing = async {
        stream.write_all(&reply).await?;
        stream.flush().await
    };
    timeout(WRITE_STALL_MAX, writing).await.map_err(|_| frame::FrameError::Slow)??;
    Ok(())
}
