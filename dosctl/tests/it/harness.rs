//! A peerd that follows a script, one per test, and the program run against it.

use std::{
    io::Write,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Command as Process, Output, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use dos_protocol::{
    control::{Command, FromPeerd, ToPeerd},
    frame,
};
use dos_testing::Guarded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

/// The program, with nothing of this process's environment but the path.
pub(crate) fn dosctl(args: &[&str]) -> Process {
    let mut process = Process::new(env!("CARGO_BIN_EXE_dosctl"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    process.args(args).env_clear().env("PATH", path).stdin(Stdio::null());
    process
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// One connection, as peerd sees it.
pub(crate) struct Link(UnixStream);

impl Link {
    pub(crate) fn hear(&mut self) -> Option<ToPeerd> {
        frame::read_blocking(&mut self.0).ok().flatten().map(|body| frame::decode(&body).unwrap())
    }

    /// Whether nothing comes for so long.
    pub(crate) fn is_silent(&self, time: Duration) -> bool {
        let mut ends = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut ends, Some(&Timespec::try_from(time).unwrap())).unwrap() == 0
    }

    pub(crate) fn command(&mut self) -> Command {
        match self.hear() {
            Some(ToPeerd::Do(command) | ToPeerd::Perform(command)) => *command,
            other => panic!("not a command: {other:?}"),
        }
    }

    /// The bytes of a file that follows a command.
    pub(crate) fn file(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match self.hear() {
                Some(ToPeerd::Data(piece)) if piece.is_empty() => return bytes,
                Some(ToPeerd::Data(piece)) => {
                    assert!(piece.len() <= dos_protocol::limits::DATA_BYTES_MAX);
                    bytes.extend(piece);
                }
                other => panic!("not a piece of a file: {other:?}"),
            }
        }
    }

    /// Sends a message that this version may not know.
    pub(crate) fn say_unknown(&mut self, message: &serde_json::Value) {
        self.0.write_all(&frame::to_frame(message).unwrap()).unwrap();
    }

    pub(crate) fn say(&mut self, message: FromPeerd) {
        self.0.write_all(&frame::to_frame(&message).unwrap()).unwrap();
    }
}

/// A peerd that accepts connections one after the other, each with the next script.
pub(crate) struct Peerd {
    directory: TempDir,
    script: Option<JoinHandle<()>>,
}

impl Peerd {
    /// Plays `script` with each of `times` connections; it gets their number, from 0.
    pub(crate) fn new(times: usize, mut script: impl FnMut(usize, Link) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let script = std::thread::spawn(move || {
            for number in 0..times {
                script(number, Link(listener.accept().unwrap().0));
            }
        });
        Self { directory, script: Some(script) }
    }

    /// Takes one command and gives one answer.
    pub(crate) fn answering(answer: FromPeerd) -> Self {
        Self::new(1, move |_, mut link| {
            link.command();
            link.say(answer.clone());
        })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    /// A path for the test's own files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is there besides the socket.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "s");
        names.sort();
        names
    }

    /// The program, aimed at this peerd.
    pub(crate) fn dosctl(&self, args: &[&str]) -> Process {
        let mut process = dosctl(args);
        process.arg("--socket").arg(self.socket()).current_dir(self.directory.path());
        process
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.dosctl(args).output().unwrap()
    }

    pub(crate) fn spawn(&self, args: &[&str]) -> Guarded {
        Guarded::start(self.dosctl(args).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// That the script went through to its end.
    pub(crate) fn done(mut self) {
        self.script.take().unwrap().join().unwrap();
    }
}
