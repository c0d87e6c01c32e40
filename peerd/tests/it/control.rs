//! The control protocol by hand: many commands at once without a process for each.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use dos_protocol::{
    WireError,
    control::{Command, FromPeerd, Outcome, ToPeerd},
    frame,
};

/// Where a peerd listens.
#[derive(Clone)]
pub(crate) struct Control(PathBuf);

impl Control {
    pub(crate) fn new(socket: &Path) -> Self {
        Self(socket.to_owned())
    }

    /// Runs a command to its end; `None` if peerd hung up before.
    pub(crate) fn run(&self, command: Command) -> Option<Result<(Outcome, Vec<u8>), WireError>> {
        let is_view = matches!(command, Command::View { .. });
        let mut stream = UnixStream::connect(&self.0).ok()?;
        stream.write_all(&frame::to_frame(&ToPeerd::Do(Box::new(command))).unwrap()).ok()?;
        let mut data = Vec::new();
        loop {
            let body = frame::read_blocking(&mut stream).ok()??;
            match frame::decode(&body).unwrap() {
                FromPeerd::Data(piece) => data.extend(piece),
                FromPeerd::Done(outcome) => {
                    if is_view {
                        stream.write_all(&frame::to_frame(&ToPeerd::Shown).unwrap()).ok()?;
                        // peerd hangs up when it has written that down.
                        drop(frame::read_blocking(&mut stream));
                    }
                    return Some(Ok((*outcome, data)));
                }
                FromPeerd::Failed(error) => return Some(Err(error)),
                FromPeerd::Progress(_) | FromPeerd::Event(_) | FromPeerd::Part(_) => {}
            }
        }
    }

    /// Spends a view and gives the picture; the error's code and text otherwise.
    pub(crate) fn view(&self, image: &str, offline: bool) -> Option<Result<Vec<u8>, WireError>> {
        let command = Command::View { image: image.parse().unwrap(), offline };
        self.run(command).map(|result| result.map(|(_, data)| data))
    }
}
