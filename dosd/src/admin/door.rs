//! The server's side of the operator's socket: in the data directory, for its owner and root alone, never the network.
//!
//! One request a connection. A command that goes away is not worked for any longer, and one that takes nothing is given
//! up. When the server closes, what is in flight ends with an error, except a command that waits for just that.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dos_daemon::log::Throttle;
use dos_host::{
    socket::{PlaceError, SocketFile, clear},
    user::is_trusted,
};
use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, ToDosd},
    frame::{self, FrameError, Reader},
    limits::WRITE_STALL_MAX,
    paths::fits_socket,
};
use interprocess::{
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName,
        tokio::{Listener, Stream},
        traits::{StreamCommon as _, tokio::Listener as _},
    },
    os::unix::local_socket::ListenerOptionsExt as _,
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{Operator, Stop, waits_for_end};
use crate::phase::Phase;

/// Commands served together.
const CONNECTIONS_MAX: usize = 16;

/// A command sends its request at once.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the socket's file is looked at: one stat(2) each time.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Such failures are logged this far apart.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(60);

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The path of the socket is longer than the system allows.
    #[error("the path {path} is too long for a socket; use a shorter data directory", path = .0.display())]
    TooLong(PathBuf),
    /// The socket cannot be made.
    #[error("cannot make the socket {path}", path = .0.display())]
    Socket(PathBuf, #[source] PlaceError),
}

/// The open door; its file goes when it is dropped, if it is still its own.
pub(crate) struct Door {
    listener: Listener,
    file: SocketFile,
}

impl Door {
    /// Makes the socket at `path`. One that a dead server left is replaced: the caller holds the data directory's lock.
    pub(crate) fn open(path: &Path) -> Result<Self, AdminError> {
        if !fits_socket(path) {
            return Err(AdminError::TooLong(path.to_owned()));
        }
        Self::bind(path).map_err(|error| AdminError::Socket(path.to_owned(), error))
    }

    fn bind(path: &Path) -> Result<Self, PlaceError> {
        let failed = |error| PlaceError::Io(path.to_owned(), error);
        clear(path)?;
        let name = path.to_fs_name::<GenericFilePath>().map_err(failed)?;
        let options = ListenerOptions::new().name(name).mode(0o600).reclaim_name(false);
        let listener = options.create_tokio().map_err(failed)?;
        Ok(Self { listener, file: SocketFile::bound(path).map_err(failed)? })
    }

    /// Binds the socket again if commands cannot find it any more.
    fn look(&mut self) {
        if self.file.is_there() {
            return;
        }
        let path = self.file.path().to_owned();
        match Self::bind(&path) {
            Ok(door) => {
                *self = door;
                tracing::warn!(socket = %path.display(), "the operator's socket had vanished and is bound again");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the operator's socket has vanished and cannot be bound again");
            }
        }
    }

    /// Serves commands until the server closes.
    pub(crate) async fn serve(mut self, operator: Arc<Operator>, mut phase: watch::Receiver<Phase>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let failures = Throttle::new(ACCEPT_LOG_PAUSE);
        let commands = phase.clone();
        let mut looks = interval(LOOK_PAUSE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let accepted = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase != Phase::Open) => return,
                _ = looks.tick() => {
                    self.look();
                    continue;
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => match commander(&stream) {
                    Some(user) => {
                        let (operator, phase) = (Arc::clone(&operator), commands.clone());
                        tokio::spawn(async move {
                            if let Err(error) = answer((stream, user), operator, phase).await {
                                tracing::debug!(%error, "an operator's command went away");
                            }
                            drop(place);
                        });
                    }
                    None => tracing::warn!("refused another user's command"),
                },
                Err(error) => {
                    if let Some(left_out) = failures.take(Instant::now()) {
                        tracing::warn!(%error, left_out, "cannot accept an operator's command");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Who commands: the server's own user, or root; nothing of anybody else.
fn commander(stream: &Stream) -> Option<u32> {
    stream.peer_creds().ok().and_then(|creds| creds.euid()).filter(|user| is_trusted(*user))
}

/// The way back to a command.
pub(super) struct Replies {
    output: WriteHalf<Stream>,
    user: u32,
}

impl Replies {
    /// The system's user who gives the command.
    pub(super) fn user(&self) -> u32 {
        self.user
    }

    /// Sends one reply.
    ///
    /// # Errors
    /// If the command does not take it.
    pub(super) async fn send(&mut self, reply: FromDosd) -> Result<(), FrameError> {
        let bytes = frame::to_frame(&reply)?;
        let writing = async {
            self.output.write_all(&bytes).await?;
            self.output.flush().await
        };
        Ok(timeout(WRITE_STALL_MAX, writing).await.map_err(|_| FrameError::Slow)??)
    }
}

async fn answer(
    (stream, user): (Stream, u32),
    operator: Arc<Operator>,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), FrameError> {
    let (input, output) = tokio::io::split(stream);
    let (mut reader, mut replies) = (Reader::new(input), Replies { output, user });
    let body = match timeout(REQUEST_TIME_MAX, reader.next()).await {
        Err(_) => return Err(FrameError::Slow),
        Ok(body) => body?,
    };
    let Some(body) = body else { return Ok(()) };
    let request: ToDosd = match frame::decode(&body) {
        Ok(request) => request,
        Err(error) => {
            let refused = WireError::new(Code::Unsupported, "this dosd does not know that request");
            return replies.send(FromDosd::Failed(refused.caused_by(error.to_string()))).await;
        }
    };
    let waits = waits_for_end(&request);
    let result = tokio::select! {
        biased;
        result = Box::pin(operator.operate(request, &mut replies)) => result,
        _ = phase.wait_for(|phase| *phase != Phase::Open) => {
            Err(WireError::new(Code::NoDaemon, "the directory is shutting down").into())
        }
        () = gone(&mut reader) => return Ok(()),
    };
    // From here on the store can be closed.
    drop(operator);
    match result {
        Ok(()) if waits => {
            tokio::select! {
                _ = phase.wait_for(|phase| *phase == Phase::Ended) => {}
                () = gone(&mut reader) => {}
            }
            Ok(())
        }
        Ok(()) => Ok(()),
        Err(Stop::Refused(error)) => replies.send(FromDosd::Failed(error)).await,
        Err(Stop::Gone(error)) => Err(error),
    }
}

/// A command sends nothing after its request, so the next thing to read is its end.
async fn gone(reader: &mut Reader<ReadHalf<Stream>>) {
    drop(reader.next().await);
}
