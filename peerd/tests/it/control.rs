//! The control protocol by hand: many commands at once without a process for each.

use std::{
    io::{Read, Write},
    net::Shutdown,
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
        let mut stream = UnixStream::connect(&self.0).ok()?;
        stream.write_all(&frame::to_frame(&ToPeerd::Do(Box::new(command))).unwrap()).ok()?;
        let mut data = Vec::new();
        loop {
            let body = frame::read_blocking(&mut stream).ok()??;
            match frame::decode(&body).unwrap() {
                FromPeerd::Data(piece) => data.extend(piece),
                FromPeerd::Done(outcome) => return Some(Ok((*outcome, data))),
                FromPeerd::Failed(error) => return Some(Err(error)),
                FromPeerd::Progress(_)
                | FromPeerd::Event(_)
                | FromPeerd::Part(_)
                | FromPeerd::Ready { .. } => {}
            }
        }
    }

    /// Runs a command as a dosctl does that says when it has shown the outcome; without that it hangs up.
    pub(crate) fn perform(&self, command: Command, shown: bool) -> Option<Result<Outcome, WireError>> {
        let mut stream = UnixStream::connect(&self.0).ok()?;
        stream.write_all(&frame::to_frame(&ToPeerd::Perform(Box::new(command))).unwrap()).ok()?;
        let outcome = outcome(&mut stream)?;
        if shown && outcome.is_ok() {
            stream.write_all(&frame::to_frame(&ToPeerd::Shown).unwrap()).ok()?;
            // peerd hangs up when it has written that down.
            drop(frame::read_blocking(&mut stream));
        }
        hang_up(&mut stream);
        Some(outcome)
    }

    /// As [`Self::perform`], for a command that brings a file; it is never shown.
    pub(crate) fn bring(&self, command: Command, file: &[u8]) -> Option<Result<Outcome, WireError>> {
        let mut stream = UnixStream::connect(&self.0).ok()?;
        for message in
            [ToPeerd::Perform(Box::new(command)), ToPeerd::Data(file.to_vec()), ToPeerd::Data(Vec::new())]
        {
            stream.write_all(&frame::to_frame(&message).unwrap()).ok()?;
        }
        let outcome = outcome(&mut stream);
        hang_up(&mut stream);
        outcome
    }

    /// Spends a view and gives the picture; the error's code and text otherwise.
    pub(crate) fn view(&self, image: &str, offline: bool) -> Option<Result<Vec<u8>, WireError>> {
        let command = Command::View { image: image.parse().unwrap(), offline, asks: false };
        self.run(command).map(|result| result.map(|(_, data)| data))
    }
}

/// Waits until peerd has noticed: until then the command is not over, and the same one is another.
fn hang_up(stream: &mut UnixStream) {
    drop(stream.shutdown(Shutdown::Write));
    drop(stream.read_to_end(&mut Vec::new()));
}

fn outcome(stream: &mut UnixStream) -> Option<Result<Outcome, WireError>> {
    loop {
        let body = frame::read_blocking(&mut *stream).ok()??;
        match frame::decode(&body).unwrap() {
            FromPeerd::Done(outcome) => return Some(Ok(*outcome)),
            FromPeerd::Failed(error) => return Some(Err(error)),
            _ => {}
        }
    }
}
