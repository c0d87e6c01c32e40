//! One connection to peerd: a command goes out, messages come in.
//!
//! The only file that names interprocess. Blocking, with a bound on silence where peerd answers at once; a transfer or
//! a wait has none, the person ends it. What the messages mean is not known here.

use std::{
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use dos_host::{
    lock::daemon_of,
    socket::{Stranger, check_listener},
};
use dos_protocol::{
    Code, WireError,
    control::{FromPeerd, Reply, ToPeerd, read_reply},
    frame::{self, FrameError},
    kind::Unreadable,
    limits::DATA_BYTES_MAX,
    paths::{SOCKET_PATH_BYTES_MAX, fits_socket},
};
use interprocess::local_socket::{GenericFilePath, Stream, prelude::*};

use crate::{error::cause_of, source::Source, target::Target};

/// Room for what comes in: any message but a piece of a file is smaller, and such a piece goes past it.
const INPUT_BYTES: usize = 16 << 10;

/// For the end of a connection: peerd writes one row at most before it hangs up.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing listens there.
    #[error("{} is not running", .0.name())]
    NotRunning(Target, #[source] io::Error),
    /// Something may listen there, but not for us.
    #[error("cannot reach the socket of {}", .0.name())]
    OutOfReach(Target, #[source] io::Error),
    /// It runs, as this process, and no one answers where its socket should be.
    #[error("{name} is running (process {process}), but its socket is not there", name = .0.name(), process = .1)]
    NoSocket(Target, u32),
    /// Somebody else listens there.
    #[error("the socket \"{path}\" is not that of {name}", path = .1.display(), name = .0.name())]
    Stranger(Target, PathBuf, #[source] Stranger),
    /// peerd went away in the middle.
    #[error("peerd ended the connection before its answer was complete")]
    HungUp,
    /// peerd sent nothing for this many seconds.
    #[error("peerd did not answer within {0} s")]
    Silent(u64),
    /// What came in, or was to go out, is no message.
    #[error("cannot talk with peerd")]
    Frame(#[from] FrameError),
    /// What came in is of a kind that only a newer peerd knows, or is not as it must be.
    #[error("peerd gave an answer that this dosctl cannot read")]
    Newer(#[source] Unreadable),
    /// A message that does not answer the command.
    #[error("peerd gave an answer that does not belong to the command")]
    Unexpected,
}

impl From<ClientError> for WireError {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::NotRunning(target, source) => Self::new(Code::NoDaemon, message)
                .caused_by(format!("\"{}\": {}", target.socket.display(), cause_of(&source)))
                .hint(target.start_command()),
            ClientError::OutOfReach(target, source) => Self::new(Code::NoDaemon, message)
                .caused_by(format!("\"{}\": {}", target.socket.display(), cause_of(&source)))
                .hint("dosctl instances"),
            ClientError::NoSocket(target, process) => Self::new(Code::NoDaemon, message)
                .caused_by(format!("\"{}\": no one listens there", target.socket.display()))
                .hint(format!("kill {process}, then {}", target.start_command())),
            ClientError::Stranger(_, _, source) => {
                Self::new(Code::NoDaemon, message).caused_by(source.to_string()).hint("dosctl instances")
            }
            ClientError::HungUp => Self::new(Code::NoDaemon, message).hint("dosctl status"),
            ClientError::Silent(_) => Self::new(Code::Timeout, message).hint("dosctl status"),
            ClientError::Frame(source) => Self::new(Code::Internal, message).caused_by(source.to_string()),
            ClientError::Newer(source) => {
                Self::new(Code::Internal, message).caused_by(source.to_string()).hint("update dosctl")
            }
            ClientError::Unexpected => Self::new(Code::Internal, message),
        }
    }
}

impl From<ClientError> for crate::error::Error {
    fn from(error: ClientError) -> Self {
        Self::Told(error.into())
    }
}

/// How far [`Client::send_file`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything is sent.
    Whole,
    /// peerd takes no more; its answer has the reason.
    Part,
}

/// A connection to peerd.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<Stream>,
    patience: Option<Duration>,
}

impl Client {
    /// Connects. `patience` bounds every silence of peerd; without it there is no bound.
    ///
    /// # Errors
    /// If nothing listens there, or not for this user.
    pub(crate) fn connect(target: &Target, patience: Option<Duration>) -> Result<Self, ClientError> {
        let mut failure = None;
        for path in target.sockets() {
            match connect(&path) {
                Ok(stream) => return Self::on(stream, (target, path), patience),
                // What the first place says is what a person can understand.
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        let process = target.state_dir.as_deref().and_then(daemon_of);
        let error = failure.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        Err(match (error.kind(), process) {
            (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, Some(process)) => {
                ClientError::NoSocket(target.clone(), process)
            }
            (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, None) => {
                ClientError::NotRunning(target.clone(), error)
            }
            _ => ClientError::OutOfReach(target.clone(), error),
        })
    }

    /// Nothing is sent or read before it is known whose process is at the other end.
    fn on(
        stream: Stream,
        (target, path): (&Target, PathBuf),
        patience: Option<Duration>,
    ) -> Result<Self, ClientError> {
        let listener = stream.peer_creds().ok().and_then(|listener| listener.euid());
        if let Err(error) = check_listener(&path, listener) {
            return Err(ClientError::Stranger(target.clone(), path, error));
        }
        if patience.is_some() {
            stream.set_recv_timeout(patience).map_err(FrameError::from)?;
        }
        Ok(Self { stream: BufReader::with_capacity(INPUT_BYTES, stream), patience })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`ClientError::HungUp`] if peerd takes nothing more.
    pub(crate) fn send(&mut self, message: &ToPeerd) -> Result<(), ClientError> {
        // It may have a password in it, or a piece of an original.
        let bytes = frame::to_wiped_frame(message)?;
        self.stream.get_mut().write_all(&bytes).map_err(|error| of_stream(error, self.patience))
    }

    /// Tells peerd that the outcome has been shown, and waits until peerd has written that down.
    ///
    /// An older peerd has hung up by then, and one that dies here is no failure of the command either: an outcome that was
    /// not reported as shown is only given again.
    pub(crate) fn shown(mut self) {
        if self.send(&ToPeerd::Shown).is_ok()
            && self.stream.get_ref().set_recv_timeout(Some(SHOWN_WITHIN)).is_ok()
        {
            drop(self.receive());
        }
    }

    /// Sends all of `source` in pieces, and the empty one that ends it. `on_sent` gets the bytes sent so far.
    ///
    /// # Errors
    /// If the source cannot be read or was changed, after which the file is not ended, or the connection fails. That peerd takes no more
    /// is none.
    pub(crate) fn send_file(
        &mut self,
        source: &mut Source,
        on_sent: &mut dyn FnMut(u64),
    ) -> Result<Sent, WireError> {
        let mut sent = 0u64;
        loop {
            let piece = source.piece(DATA_BYTES_MAX)?;
            let count = piece.len();
            match self.send(&ToPeerd::Data(piece)) {
                Ok(()) => {}
                Err(ClientError::HungUp) => return Ok(Sent::Part),
                Err(error) => return Err(error.into()),
            }
            if count == 0 {
                return Ok(Sent::Whole);
            }
            sent = sent.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            on_sent(sent);
        }
    }

    /// The next message. Events that only a newer peerd knows are passed over.
    ///
    /// # Errors
    /// If there is none: peerd went away, was silent for too long, or sent what cannot be read.
    pub(crate) fn receive(&mut self) -> Result<FromPeerd, ClientError> {
        self.receive_known(&mut |_| {})
    }

    /// The next message. `on_unknown` gets the kinds of the events that only a newer peerd knows.
    ///
    /// # Errors
    /// As in [`Client::receive`].
    pub(crate) fn receive_known(
        &mut self,
        on_unknown: &mut dyn FnMut(&str),
    ) -> Result<FromPeerd, ClientError> {
        loop {
            let body = match frame::read_blocking(&mut self.stream) {
                Ok(Some(body)) => body,
                Ok(None) | Err(FrameError::Cut) => return Err(ClientError::HungUp),
                Err(FrameError::Io(error)) => return Err(of_stream(error, self.patience)),
                Err(error) => return Err(error.into()),
            };
            match read_reply(&body)? {
                Reply::Message(message) => return Ok(message),
                Reply::UnknownEvent(kind) => on_unknown(&kind),
                Reply::Unknown(unreadable) => return Err(ClientError::Newer(unreadable)),
            }
        }
    }
}

fn connect(path: &Path) -> io::Result<Stream> {
    if !fits_socket(path) {
        return Err(io::Error::other(format!("the path is longer than {SOCKET_PATH_BYTES_MAX} bytes")));
    }
    Stream::connect(path.to_fs_name::<GenericFilePath>()?)
}

/// What a failed read or write means. A Unix socket whose other end closed with unread data in it reports a reset.
fn of_stream(error: io::Error, patience: Option<Duration>) -> ClientError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
            ClientError::HungUp
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            ClientError::Silent(patience.unwrap_or_default().as_secs())
        }
        _ => FrameError::Io(error).into(),
    }
}
