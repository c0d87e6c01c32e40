//! The terminal: asking it what it can do, and writing pictures to it, so that it is afterwards as it was before.
//!
//! What always holds: it is asked only if this process is in its foreground; the wait for its answers is bounded; its modes
//! are put back before anything else happens, also when a signal or a Ctrl-C comes meanwhile, which then takes its usual
//! effect; and a picture that is broken off by one is ended, so that what follows it is text again. Keys pressed during the
//! moment of the questions are lost.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use dos_host::signals::Ignored;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::getpgrp,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
    },
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag, low_level,
};

use crate::{
    error::Error,
    picture::{
        Surface,
        detect::{Answers, CELL_DEFAULT, Environment, Wanted, choose, questions, sound_cell},
    },
};

/// For the answers of a terminal that may be on the other side of the world.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most bytes that are taken for answers: they have some hundreds.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// A picture is written in pieces of this size, so that a signal is noticed in between.
const PIECE_BYTES: usize = 64 << 10;

/// The window of a terminal that does not tell.
const WINDOW_DEFAULT: (u16, u16) = (80, 24);

/// Ctrl-C, which comes as a byte while the terminal is asked.
const CTRL_C: u8 = 3;

/// What pictures can be drawn on, if standard output is a terminal that can.
#[must_use]
pub(crate) fn surface(wanted: Wanted) -> Option<Surface> {
    let environment = Environment::of_process();
    let out = io::stdout();
    if wanted == Wanted::None || !environment.is_capable() || !io::IsTerminal::is_terminal(&out) {
        return None;
    }
    let answers = if environment.takes_questions() { ask() } else { None }.unwrap_or_default();
    let graphics = choose(wanted, &answers, &environment)?;
    let size = tcgetwinsize(&out).ok();
    let window = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let window = if window.0 == 0 || window.1 == 0 { WINDOW_DEFAULT } else { window };
    // The window's size in pixels goes through multiplexers that do not answer questions.
    let told = size.and_then(|size| sound_cell((size.ws_xpixel / window.0, size.ws_ypixel / window.1)));
    Some(Surface { graphics, window, cell: answers.cell.or(told).unwrap_or(CELL_DEFAULT) })
}

/// Writes a picture to standard output.
///
/// # Errors
/// If standard output does not take it.
pub(crate) fn draw(picture: &[u8]) -> Result<(), Error> {
    let held = Held::begin().map_err(Error::Output)?;
    let mut out = io::stdout().lock();
    for piece in picture.chunks(PIECE_BYTES) {
        if held.signal().is_some() {
            // Ends whatever control string was under way, and the colours. The signal follows.
            out.write_all(b"\x1b\\\x1b[0m\n").and_then(|()| out.flush()).unwrap_or_default();
            break;
        }
        out.write_all(piece).map_err(Error::of_output)?;
    }
    out.flush().map_err(Error::of_output)
}

/// Asks the terminal of this session; nothing if there is none, or another process group has it at the moment.
fn ask() -> Option<Answers> {
    let tty = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    if tcgetpgrp(&tty).ok()? != getpgrp() {
        return None;
    }
    let held = Held::begin().ok()?;
    let bytes = {
        let raw = Raw::begin(&tty).ok()?;
        let bytes = exchange(&tty, &held);
        drop(raw);
        bytes.ok()?
    };
    if bytes.contains(&CTRL_C) && !held.0.ignored.has(SIGINT) {
        held.raise(SIGINT);
    }
    Some(Answers::read(&bytes))
}

fn exchange(mut tty: &File, held: &Held) -> io::Result<Vec<u8>> {
    tty.write_all(&questions())?;
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let over = left.is_zero() || bytes.len() >= ANSWER_BYTES_MAX || bytes.contains(&CTRL_C);
        if over || held.signal().is_some() || Answers::read(&bytes).complete {
            return Ok(bytes);
        }
        let time = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(tty, PollFlags::IN)], Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => {
                let mut piece = [0; 512];
                let count = tty.read(&mut piece)?;
                if count == 0 {
                    return Ok(bytes);
                }
                bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The terminal without echo, lines and signal keys; as it was, when dropped.
struct Raw<'a> {
    tty: &'a File,
    before: Termios,
}

impl Raw<'_> {
    fn begin(tty: &File) -> io::Result<Raw<'_>> {
        let before = tcgetattr(tty)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(tty, OptionalActions::Now, &modes)?;
        Ok(Raw { tty, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // A terminal that has gone has no modes to put back.
        tcsetattr(self.tty, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}

/// Signals that would end the process wait while this lives, and take their usual effect when it is dropped and later.
struct Held(&'static Signals);

/// What the handlers, which stay for the rest of the process, look at and tell.
#[derive(Debug, Default)]
struct Signals {
    ignored: Ignored,
    through: Arc<AtomicBool>,
    got: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

impl Held {
    fn begin() -> io::Result<Self> {
        if let Some(signals) = SIGNALS.get() {
            signals.through.store(false, Ordering::SeqCst);
            return Ok(Self(signals));
        }
        let signals = Signals { ignored: Ignored::of_process(), ..Signals::default() };
        for signal in signals.ignored.handled(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT]) {
            flag::register_conditional_default(signal, Arc::clone(&signals.through))?;
            let number = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&signals.got), number)?;
        }
        Ok(Self(SIGNALS.get_or_init(|| signals)))
    }

    /// The one that came last.
    fn signal(&self) -> Option<i32> {
        i32::try_from(self.0.got.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
    }

    fn raise(&self, signal: i32) {
        self.0.got.store(usize::try_from(signal).unwrap_or_default(), Ordering::SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.through.store(true, Ordering::SeqCst);
        if let Some(signal) = self.signal() {
            low_level::emulate_default_handler(signal).unwrap_or_default();
        }
    }
}
