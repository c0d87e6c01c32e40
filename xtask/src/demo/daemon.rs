//! A daemon of the demo: started in somebody's shell, its log in a file, never left behind.

use std::{
    fs::{self, File},
    io::{Write, stdout},
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dos_testing::{Guarded, Signal};

use super::{patience::Patience, shell::Shell};

/// What the daemons promise: after SIGTERM they have ended within this time.
const END_TIME_MAX: Duration = Duration::from_secs(5);
/// So many of a log's last lines are shown.
const LOG_LINES: usize = 15;

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Guarded,
    patience: Patience,
}

impl Daemon {
    /// Types `line` with an `&` behind it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(shell: &Shell, line: &str) -> Result<Self> {
        shell.show(&format!("{line} &"))?;
        let path = log_of(shell);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot open {}", path.display()))?;
        let mut command = shell.command(line)?;
        command.stdout(log.try_clone().context("cannot share a log")?).stderr(log);
        let child = Guarded::try_start(&mut command).with_context(|| format!("cannot start `{line}`"))?;
        let program = line.split(' ').next().unwrap_or(line);
        let name = format!("{program} of {}", shell.who());
        Ok(Self { name, child, patience: shell.patience().clone() })
    }

    /// Fails if it has ended, so that nobody waits for what cannot come.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the {} has ended ({status})", self.name),
        }
    }

    /// Sends SIGTERM, and tells how long it took to end.
    ///
    /// # Errors
    /// If it does not end in time, or with another exit code than 0.
    pub(crate) fn terminate(mut self) -> Result<Duration> {
        let began = Instant::now();
        let sent = self.child.try_signal(Signal::TERM);
        sent.with_context(|| format!("cannot send SIGTERM to the {}", self.name))?;
        let status = self.ended("to end after SIGTERM")?;
        if status.code() != Some(0) {
            bail!("the {} ended with {status} after SIGTERM, not with exit code 0", self.name);
        }
        Ok(began.elapsed())
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// If it had ended before.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.still_runs()?;
        self.child.try_signal(Signal::KILL)?;
        self.ended("to end after SIGKILL")?;
        Ok(())
    }

    fn ended(&mut self, what: &str) -> Result<ExitStatus> {
        let what = format!("for the {} {what}", self.name);
        let child = &mut self.child;
        self.patience.wait(&what, END_TIME_MAX, || Ok(child.try_wait()?))
    }
}

fn log_of(shell: &Shell) -> PathBuf {
    shell.file("daemon.log")
}

/// The end of the log of somebody's daemon, with a heading.
pub(crate) fn log_tail(shell: &Shell) -> String {
    let log = fs::read(log_of(shell)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n");
    format!("--- the end of the log of {}'s daemon:\n{tail}\n", shell.who())
}

/// Shows that a daemon was told to stop.
///
/// # Errors
/// If standard output is gone.
pub(crate) fn show_ended(shell: &Shell, line: &str, after: Duration) -> Result<()> {
    shell.show(line)?;
    writeln!(stdout(), "[exit code 0 after {} ms]", after.as_millis())?;
    Ok(())
}
