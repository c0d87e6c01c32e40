//! Has a picture decoded by a program of libheif, which turns a HEIC into a JPEG.
//!
//! What holds: the program runs without a shell, in an environment of its own, one at a time. It gets the picture from memory, and its answer is
//! taken from a pipe, so that nothing of the picture is written to a disk: it cannot write to files at all. It has bounds for its memory, its time, and the length of
//! its answer, and is killed with what it has started when it reaches them. What it answers is as hostile as the file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, MemfdFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// The programs, by their newer and their older name.
const NAMES: [&str; 2] = ["heif-dec", "heif-convert"];
/// Seconds of computing: for any picture, and for how many pixels one more. libde265 decodes 15 to 30 million in a second.
const SECONDS_MIN: u64 = 2;
const PIXELS_A_SECOND: u64 = 8_000_000;
/// How much longer it may take by the clock: other programs compute too.
const PATIENCE: u32 = 4;
/// The addresses that it may use, which are more than its memory: a picture of 100 million pixels in full, and the stacks of its threads.
const ADDRESS_BYTES_MAX: u64 = 2 << 30;
/// The most bytes of an answer: a JPEG of 100 million pixels.
const ANSWER_BYTES_MAX: usize = 96 << 20;
/// What is read at a time: as much as a pipe holds.
const PIECE_BYTES: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The program could not be run.
    Io(io::Error),
    /// It ended without one.
    Refused,
    /// It had not ended in time, or its answer had not.
    TooLong,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is told where a program cannot be run; why is the system's.
pub(super) fn unusable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "HEIC needs a program of libheif, which may not be run here",
        _ => "HEIC needs a program of libheif, which cannot be run",
    }
}

/// What is run: the program, by util-linux's `prlimit`, which bounds itself and then becomes the program.
#[derive(Debug)]
pub(super) struct Tools {
    limiter: PathBuf,
    program: PathBuf,
}

/// The programs, if both are installed. They are looked for once.
pub(super) fn installed() -> Option<&'static Tools> {
    static FOUND: LazyLock<Option<Tools>> = LazyLock::new(|| {
        // A fuzzer looks for faults in this program, thousands of times in a second.
        if cfg!(fuzzing) {
            return None;
        }
        let program = NAMES.iter().find_map(|name| found(name))?;
        Some(Tools { limiter: found("prlimit")?, program })
    });
    FOUND.as_ref()
}

fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    places.map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// Has `original` decoded by the program, a picture of so many pixels as its container says; the answer is a JPEG.
pub(super) fn decode(tools: &Tools, original: impl Read, pixels: u64) -> Result<Vec<u8>, Failure> {
    // One takes all of the cores, and much memory.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut original = original;
    let mut picture =
        File::from(rustix::fs::memfd_create("picture", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
    io::copy(&mut original, &mut picture)?;
    let pipe = Pipe::make()?;
    let mut answer = pipe.open()?;
    let seconds = SECONDS_MIN + pixels / PIXELS_A_SECOND;
    let mut running = Running::start(tools, picture, &pipe, seconds)?;
    let deadline = Instant::now() + Duration::from_secs(seconds) * PATIENCE;
    let bytes = running.answer(&mut answer, deadline)?;
    if running.has_succeeded(deadline)? && !bytes.is_empty() { Ok(bytes) } else { Err(Failure::Refused) }
}

/// A named pipe in a directory of its own, which goes when it is done with. The name tells the program what to answer.
#[derive(Debug)]
struct Pipe {
    directory: PathBuf,
    path: PathBuf,
}

impl Pipe {
    fn make() -> io::Result<Self> {
        let mut number = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut number)?;
        let directory = std::env::temp_dir().join(format!("dos-heic-{:032x}", u128::from_ne_bytes(number)));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let pipe = Self { path: directory.join("picture.jpg"), directory };
        rustix::fs::mknodat(rustix::fs::CWD, &pipe.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        Ok(pipe)
    }

    /// Opens the end that is read, without waiting for who writes.
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        fs::OpenOptions::new().read(true).custom_flags(flags).open(&self.path)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Files that the program has made beside the pipe are empty, but they are there.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The program while it runs. It does not outlive this.
///
/// It is waited for last of all: until then its number, which is also that of its group, is no other's.
#[derive(Debug)]
struct Running {
    child: Child,
    /// Stands for the process, whatever becomes of its number; can be read when it has ended.
    exit: OwnedFd,
    group: Pid,
}

impl Running {
    fn start(tools: &Tools, picture: File, pipe: &Pipe, seconds: u64) -> io::Result<Self> {
        // Its limits are there before it is: what sets them becomes the program.
        let mut command = Command::new(&tools.limiter);
        command.arg(format!("--as={ADDRESS_BYTES_MAX}")).arg(format!("--cpu={seconds}"));
        // What it writes to is a pipe, which has no size.
        command.args(["--fsize=0", "--core=0", "--"]).arg(&tools.program);
        command.args(["-q", "95", "/dev/stdin"]).arg(&pipe.path).current_dir(&pipe.directory);
        // Threads of the allocator would take much of its addresses.
        command.env_clear().env("LC_ALL", "C").env("MALLOC_ARENA_MAX", "1");
        command.stdin(picture).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn()?;
        let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let opened = number
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|number| pidfd_open(number, PidfdFlags::empty()).map(|exit| (exit, number)));
        match opened {
            Ok((exit, group)) => Ok(Self { child, exit, group }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    /// Reads the answer to its end: until no one writes any more, or the program has ended and nothing is left to be read.
    fn answer(&mut self, pipe: &mut File, deadline: Instant) -> Result<Vec<u8>, Failure> {
        let (mut answer, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
        while answer.len() <= ANSWER_BYTES_MAX {
            let [is_closed_or_full, has_ended] = readable([pipe.as_fd(), self.exit.as_fd()], deadline)?;
            match pipe.read(&mut piece) {
                // No one writes: not any more, or not yet.
                Ok(0) if is_closed_or_full || has_ended => return Ok(answer),
                Ok(count) => answer.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What it has started holds the pipe open.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_ended => return Ok(answer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::TooLong)
    }

    /// Waits for its end, and ends what it has started.
    fn has_succeeded(mut self, deadline: Instant) -> Result<bool, Failure> {
        readable([self.exit.as_fd()], deadline)?;
        self.kill();
        Ok(self.child.wait()?.success())
    }

    /// Ends it with what it has started. What has ended already keeps how it has ended.
    fn kill(&self) {
        pidfd_send_signal(&self.exit, Signal::KILL).ok();
        kill_process_group(self.group, Signal::KILL).ok();
    }
}

/// Waits until one of the files can be read, or has no one who writes to it.
fn readable<const N: usize>(files: [BorrowedFd<'_>; N], deadline: Instant) -> Result<[bool; N], Failure> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::TooLong);
        }
        let time = Timespec::try_from(left).map_err(|_| Failure::TooLong)?;
        let mut waiting = files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN));
        match poll(&mut waiting, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(std::array::from_fn(|index| !waiting[index].revents().is_empty())),
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once it was waited for, its number may be that of another one.
        if let Ok(None) = self.child.try_wait() {
            self.kill();
            drop(self.child.wait());
        }
    }
}

#[cfg(test)]
mod tests;
