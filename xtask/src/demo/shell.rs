//! Somebody's shell: a line is shown as typed, run in their own directory, and its real output shown below it.
//!
//! A line is what a person would type, made of words without quotes. The environment holds nothing but what is set here,
//! so that the demo neither sees nor touches the daemons of the user who runs it.

use std::{
    io::{Read, Write, pipe, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dos_testing::Guarded;
use serde_json::Value;

use super::patience::Patience;

/// The longest that a command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a signal is looked for meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Where everybody's daemon listens for commands, in their own directory.
pub(crate) const SOCKET: &str = "run/peerd.sock";

/// Somebody's shell.
#[derive(Debug)]
pub(crate) struct Shell {
    who: &'static str,
    home: PathBuf,
    programs: PathBuf,
    patience: Patience,
}

/// What came of a line.
#[derive(Debug)]
pub(crate) struct Done {
    line: String,
    text: String,
    code: i32,
}

impl Shell {
    /// The shell of `who` in `home`, where the words `dosd`, `peerd` and `dosctl` mean those in `programs`.
    pub(crate) fn new(who: &'static str, home: PathBuf, programs: PathBuf, patience: Patience) -> Self {
        Self { who, home, programs, patience }
    }

    /// From now on the words `dosd`, `peerd` and `dosctl` mean the programs in this folder.
    pub(crate) fn use_programs(&mut self, programs: PathBuf) {
        self.programs = programs;
    }

    /// Whose it is.
    pub(crate) fn who(&self) -> &'static str {
        self.who
    }

    /// A file of theirs.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Their directory.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// How long to wait.
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Shows a line as typed.
    ///
    /// # Errors
    /// If standard output is gone.
    pub(crate) fn show(&self, line: &str) -> Result<()> {
        writeln!(stdout(), "{}$ {line}", self.who)?;
        Ok(())
    }

    /// Types a line; it is expected to work.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn run(&self, line: &str) -> Result<Done> {
        self.fails(line, 0)
    }

    /// Types a line that is expected to end with this exit code.
    ///
    /// # Errors
    /// If it ends with another.
    pub(crate) fn fails(&self, line: &str, code: i32) -> Result<Done> {
        self.show(line)?;
        let done = self.silently(line)?;
        let ending = if done.code == 0 { String::new() } else { format!("[exit code {}]\n", done.code) };
        let mut out = stdout().lock();
        write!(out, "{}{ending}", done.text)?;
        out.flush()?;
        if done.code != code {
            bail!("`{line}` of {} ended with exit code {}, not {code}", self.who, done.code);
        }
        Ok(done)
    }

    /// Runs a line without showing it.
    ///
    /// # Errors
    /// If it cannot be run or does not end in time.
    pub(crate) fn silently(&self, line: &str) -> Result<Done> {
        let (mut from, to) = pipe().context("cannot make a pipe")?;
        // One pipe for both, so that the output has the order in which it was written.
        let mut command = self.command(line)?;
        command.stdout(to.try_clone().context("cannot share a pipe")?).stderr(to);
        let mut child = Guarded::try_start(&mut command).with_context(|| format!("cannot run `{line}`"))?;
        drop(command);
        let (tell, told) = sync_channel(1);
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = from.read_to_end(&mut bytes);
            drop(tell.send(read.map(|_| bytes)));
        });
        let deadline = Instant::now() + COMMAND_TIME_MAX;
        let bytes = loop {
            match told.recv_timeout(LOOK_EVERY) {
                Ok(read) => break read.with_context(|| format!("cannot read the output of `{line}`"))?,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline && !self.patience.is_over() => {}
                Err(_) => {
                    drop(child);
                    self.patience.check()?;
                    bail!("`{line}` of {} did not end within {} s", self.who, COMMAND_TIME_MAX.as_secs());
                }
            }
        };
        let what = format!("for `{line}` to end");
        let status = self.patience.wait(&what, COMMAND_TIME_MAX, || Ok(child.try_wait()?))?;
        self.patience.check()?;
        let code = status.code().with_context(|| format!("`{line}` of {}: {status}", self.who))?;
        Ok(Done { line: line.into(), text: String::from_utf8_lossy(&bytes).into_owned(), code })
    }

    /// What a line says with `--json`, without showing it.
    ///
    /// # Errors
    /// If it fails, or says something else.
    pub(crate) fn json(&self, line: &str) -> Result<Value> {
        let done = self.silently(&format!("{line} --json"))?;
        if done.code != 0 {
            bail!("`{line} --json` of {} ended with exit code {}: {}", self.who, done.code, done.text);
        }
        serde_json::from_str(&done.text).with_context(|| format!("`{line} --json` said: {}", done.text))
    }

    /// A line as a process that is not started yet.
    ///
    /// # Errors
    /// If there is nothing in the line.
    pub(crate) fn command(&self, line: &str) -> Result<Command> {
        let mut words = line.split_ascii_whitespace();
        let program = words.next().context("an empty line")?;
        let mut command = Command::new(self.programs.join(program));
        command.args(words).current_dir(&self.home).stdin(Stdio::null()).env_clear();
        command.env("HOME", &self.home).env("DOSCTL_SOCKET", SOCKET);
        Ok(command)
    }
}

impl Done {
    /// What it said, of both streams.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it ended with success.
    pub(crate) fn worked(&self) -> bool {
        self.code == 0
    }

    /// Checks that it said this.
    ///
    /// # Errors
    /// If it did not.
    pub(crate) fn says(self, words: &str) -> Result<Self> {
        if !self.text.contains(words) {
            bail!("`{}` does not say \"{words}\"", self.line);
        }
        Ok(self)
    }
}
