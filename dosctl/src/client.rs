//! One connection to peerd: a command goes out, messages come in.
//!
//! The only file that names interprocess. Blocking, with a bound on silence where peerd answers at once; a transfer or
//! a wait has none, the person ends it. What the messages mean is not known here.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    time::Duration,
};

use dos_protocol::{
    Code, WireError,
    control::{FromPeerd, ToPeerd},
    frame::{self, FrameError},
    limits::DATA_BYTES_MAX,
    paths::{SOCKET_PATH_BYTES_MAX, fits_socket},
};
use interprocess::local_socket::{GenericFilePath, Stream, prelude::*};

use crate::{error::cause_of, target::Target};

/// Room for what comes in: any message but a piece of a file is smaller, and such a piece goes past it.
const INPUT_BYTES: usize = 16 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("{} is not running", .0.name())]
    NotRunning(Target, #[source] io::Error),
    /// Something may listen there, but not for us.
    #[error("cannot reach the socket of {}", .0.name())]
    OutOfReach(Target, #[source] io::Error),
    /// peerd went away in the middle.
    #[error("peerd ended the connection before its answer was complete")]
    HungUp,
    /// peerd says nothing.
    #[error("peerd did not answer within {0} s")]
    Silent(u64),
    /// What came in, or was to go out, is no message.
    #[error("cannot talk with peerd")]
    Frame(#[from] FrameError),
    /// The file that was to be sent cannot be read.
    #[error("cannot read the file")]
    File(#[source] io::Error),
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
            ClientError::HungUp => Self::new(Code::NoDaemon, message).hint("dosctl status"),
            ClientError::Silent(_) => Self::new(Code::Timeout, message).hint("dosctl status"),
            ClientError::Frame(source) => Self::new(Code::Internal, message).caused_by(source.to_string()),
            ClientError::File(source) => Self::new(Code::Invalid, message).caused_by(cause_of(&source)),
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
pub enum Sent {
    /// Everything is sent.
    Whole,
    /// peerd takes no more; its answer says why.
    Part,
}

/// A connection to peerd.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Stream>,
    patience: Option<Duration>,
}

impl Client {
    /// Connects. `patience` bounds every silence of peerd; without it there is no bound.
    ///
    /// # Errors
    /// If nothing listens there, or not for this user.
    pub fn connect(target: &Target, patience: Option<Duration>) -> Result<Self, ClientError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(target.clone(), error)
            }
            _ => ClientError::OutOfReach(target.clone(), error),
        };
        if !fits_socket(&target.socket) {
            let text = format!("the path is longer than {SOCKET_PATH_BYTES_MAX} bytes");
            return Err(failed(io::Error::other(text)));
        }
        let name = target.socket.as_path().to_fs_name::<GenericFilePath>().map_err(failed)?;
        let stream = Stream::connect(name).map_err(failed)?;
        if patience.is_some() {
            stream.set_recv_timeout(patience).map_err(FrameError::from)?;
        }
        Ok(Self { stream: BufReader::with_capacity(INPUT_BYTES, stream), patience })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`ClientError::HungUp`] if peerd takes nothing more.
    pub fn send(&mut self, message: &ToPeerd) -> Result<(), ClientError> {
        let bytes = frame::to_frame(message)?;
        self.stream.get_mut().write_all(&bytes).map_err(|error| of_stream(error, self.patience))
    }

    /// Tells peerd that what came of the command has been shown, and waits until that is written down.
    pub fn shown(&mut self) {
        // Whether peerd is gone by now is seen by what it makes of the next command.
        if self.send(&ToPeerd::Shown).is_ok() {
            drop(self.receive());
        }
    }

    /// Sends what is left of `file` in pieces, and the empty one that ends it. `on_sent` hears the bytes so far.
    ///
    /// # Errors
    /// If the file cannot be read or the connection fails. That peerd takes no more is none.
    pub fn send_file(&mut self, file: &mut File, on_sent: &mut dyn FnMut(u64)) -> Result<Sent, ClientError> {
        let piece_max = u64::try_from(DATA_BYTES_MAX).unwrap_or(u64::MAX);
        let mut sent = 0u64;
        loop {
            let mut piece = Vec::with_capacity(DATA_BYTES_MAX);
            let count =
                Read::take(&mut *file, piece_max).read_to_end(&mut piece).map_err(ClientError::File)?;
            match self.send(&ToPeerd::Data(piece)) {
                Ok(()) => {}
                Err(ClientError::HungUp) => return Ok(Sent::Part),
                Err(error) => return Err(error),
            }
            if count == 0 {
                return Ok(Sent::Whole);
            }
            sent = sent.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            on_sent(sent);
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// If there is none: peerd went away, was silent for too long, or sent nonsense.
    pub fn receive(&mut self) -> Result<FromPeerd, ClientError> {
        match frame::read_blocking(&mut self.stream) {
            Ok(Some(body)) => Ok(frame::decode(&body)?),
            Ok(None) | Err(FrameError::Cut) => Err(ClientError::HungUp),
            Err(FrameError::Io(error)) => Err(of_stream(error, self.patience)),
            Err(error) => Err(error.into()),
        }
    }
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
