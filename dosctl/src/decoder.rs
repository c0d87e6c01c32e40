//! The process that decodes pictures for the terminal: peerd, which has the decoders, started for this alone.
//!
//! What always holds: it is there before anything is spent for the picture that it is to decode; it ends with this program.

use std::{
    io,
    process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio},
};

use dos_preview::{
    Pixels,
    apart::{ApartError, Scaler},
};
use dos_protocol::{Code, WireError};

use crate::{
    daemon::program,
    error::cause_of,
    picture::{Share, Surface},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Decoder {
    child: Child,
    scaler: Scaler<ChildStdin, ChildStdout>,
}

impl Decoder {
    /// Starts it.
    ///
    /// # Errors
    /// If there is no program that does.
    pub(crate) fn start() -> Result<Self, WireError> {
        let program = program();
        let failed = |error: &io::Error| {
            let text = format!("cannot start \"{}\", which decodes pictures", program.display());
            WireError::new(Code::Internal, text).caused_by(cause_of(error))
        };
        let mut child = Process::new(&program)
            .arg("--decode-pictures")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&error))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&io::ErrorKind::BrokenPipe.into()));
        };
        let scaler = Scaler::new(input, output).map_err(|error| {
            drop(child.kill());
            drop(child.wait());
            let text =
                format!("\"{}\" does not decode pictures: it is of another release", program.display());
            WireError::new(Code::Internal, text).caused_by(error.to_string())
        })?;
        Ok(Self { child, scaler })
    }

    /// Scales the picture in `file` to what fits in `bounds`.
    ///
    /// # Errors
    /// If it is no picture that is understood; if the process has failed, in whose place comes another one.
    pub(crate) fn scale(&mut self, file: &[u8], bounds: (u32, u32)) -> Result<Pixels, ApartError> {
        let scaled = self.scaler.scale(file, bounds);
        if let Err(ApartError::Io(_) | ApartError::Nonsense) = scaled
            && let Ok(another) = Self::start()
        {
            *self = another;
        }
        scaled
    }

    /// Draws the picture in `file` in a share of the window.
    ///
    /// # Errors
    /// As in [`Decoder::scale`].
    pub(crate) fn draw(
        &mut self,
        file: &[u8],
        (surface, share): (&Surface, Share),
    ) -> Result<Vec<u8>, WireError> {
        let pixels = self.scale(file, surface.bounds(share)).map_err(|error| undrawn(&error))?;
        surface.draw(&pixels)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // It has nothing to finish.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn undrawn(error: &ApartError) -> WireError {
    let code = match error {
        ApartError::Image(_) => Code::Invalid,
        ApartError::Io(_) | ApartError::Nonsense => Code::Internal,
    };
    WireError::new(code, "the picture cannot be drawn").caused_by(error.to_string())
}
