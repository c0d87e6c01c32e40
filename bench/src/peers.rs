//! peerd and dosctl as they are shipped, for measurements of whole commands: a directory, and peers that have signed up.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use dos_testing::{Backoff, Guarded};

use crate::server::computed;

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `ready`.
///
/// # Errors
/// With `what` if it does not come in time; what `ready` says.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let mut backoff = Backoff::within(PATIENCE);
    while !ready()? {
        ensure!(backoff.pause(), "waited in vain until {what}");
    }
    Ok(())
}

/// The programs of a peer.
#[derive(Debug, Clone)]
pub(crate) struct PeerPrograms {
    /// The daemon.
    pub(crate) peerd: PathBuf,
    /// The command.
    pub(crate) dosctl: PathBuf,
}

/// A peer that has signed up. Its daemon ends with it.
#[derive(Debug)]
pub(crate) struct Peer {
    daemon: Guarded,
    dosctl: PathBuf,
    dir: PathBuf,
}

impl Peer {
    /// Starts a daemon in `dir`, with these options, and signs up under the directory's name; copies are fetched on command only.
    ///
    /// # Errors
    /// If a program does not start or fails.
    pub(crate) fn sign_up(
        programs: &PeerPrograms,
        dir: &Path,
        link: &str,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        Self::sign_up_at("127.0.0.1:0", programs, dir, (link, options))
    }

    /// The same with a daemon that listens elsewhere.
    ///
    /// # Errors
    /// As [`Peer::sign_up`].
    pub(crate) fn sign_up_at(
        listen: &str,
        programs: &PeerPrograms,
        dir: &Path,
        (link, options): (&str, &[&str]),
    ) -> anyhow::Result<Self> {
        fs::create_dir(dir)?;
        let name = dir.file_name().and_then(OsStr::to_str).context("a peer without a name")?;
        let mut command = Command::new(&programs.peerd);
        command
            .args(["--listen", listen, "--auto-fetch", "false", "--state-dir"])
            .arg(dir.join("state"))
            .arg("--socket")
            .arg(dir.join("s"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.join("log"))?);
        let daemon = Guarded::try_start(&mut command).context("cannot start peerd")?;
        let peer = Self { daemon, dosctl: programs.dosctl.clone(), dir: dir.to_owned() };
        wait_until("peerd answers", || Ok(peer.ask(&["status"])?.status.success()))?;
        peer.run(&["register", "--server", link, "--name", name])?;
        Ok(peer)
    }

    /// Its name at the directory, which is that of its directory here.
    ///
    /// # Errors
    /// If that has none.
    pub(crate) fn name(&self) -> anyhow::Result<&str> {
        self.dir.file_name().and_then(OsStr::to_str).context("a peer without a name")
    }

    /// Where it keeps its things.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A command to its daemon.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.dosctl);
        command.arg("--socket").arg(self.dir.join("s")).args(arguments);
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    fn ask<S: AsRef<OsStr>>(&self, arguments: &[S]) -> anyhow::Result<std::process::Output> {
        Ok(self.command(arguments).output()?)
    }

    /// Runs a command and gives what it printed.
    ///
    /// # Errors
    /// If it fails.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> anyhow::Result<String> {
        let output = self.ask(arguments)?;
        ensure!(output.status.success(), "dosctl failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A figure in KiB of `/proc/PID/status`: `VmRSS` now, `VmHWM` at its highest.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.daemon.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let figure =
            line.and_then(|rest| rest.split_whitespace().next()).context("the kernel does not tell")?;
        Ok(figure.parse()?)
    }

    /// Computing time so far of all threads of its daemon, in seconds.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn computed(&self) -> anyhow::Result<f64> {
        computed(self.daemon.id())
    }

    /// Forgets how high its memory once was (proc(5), `clear_refs`).
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.daemon.id()), "5")?)
    }
}
