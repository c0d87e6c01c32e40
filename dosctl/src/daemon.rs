//! Starting the peerd of a profile: by the user's service manager where it knows peerd, else in the background.
//!
//! What always holds: one that runs is left alone; one in the background has left the terminal and its session, and writes its
//! log into the profile's state directory, where only this user can read it; it is there when this returns.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use dos_protocol::{Code, WireError};
use rustix::{
    event::{Timespec, poll},
    io::Errno,
};

use crate::{
    client::{Client, ClientError},
    error::{Error, cause_of, of_file},
    profiles,
    target::Target,
};

/// peerd is ready in less than a second; a migration of a large store may take longer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks at whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The name of the log in the state directory.
const LOG_NAME: &str = "peerd.log";

/// A log of this size becomes the old one when peerd is started anew; the one before that goes.
const LOG_BYTES_MAX: u64 = 4 << 20;

/// The most of a log that an error repeats.
const LOG_TAIL_BYTES: u64 = 2 << 10;

/// How peerd came to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Started {
    /// It ran.
    Running,
    /// By the user's service manager.
    Unit { unit: String },
    /// In the background.
    Background { log: PathBuf },
}

impl Started {
    /// As in JSON.
    #[must_use]
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Unit { .. } => "unit",
            Self::Background { .. } => "background",
        }
    }
}

/// Makes sure that the peerd of `target` runs.
///
/// # Errors
/// `no_daemon` if it cannot be started; `usage` if only its socket is known.
pub(crate) fn start(target: &Target) -> Result<Started, Error> {
    match Client::connect(target, None) {
        Ok(_) => return Ok(Started::Running),
        Err(ClientError::NotRunning(..)) => {}
        Err(error) => return Err(error.into()),
    }
    let (Some(profile), Some(state)) = (&target.profile, &target.state_dir) else {
        let text = format!("{} is not running, and only a profile can be started", target.name());
        return Err(WireError::new(Code::Usage, text).hint("dosctl --profile NAME up").into());
    };
    let unit = format!("peerd@{profile}.service");
    if is_usual(target, state)
        && systemctl(&["show", "-p", "LoadState", "--value", &unit]) == Some("loaded".into())
    {
        if systemctl(&["start", &unit]).is_none() {
            let error = WireError::new(Code::NoDaemon, format!("{unit} does not start"));
            return Err(error.hint(format!("systemctl --user status {unit}")).into());
        }
        wait(target, || None)?;
        return Ok(Started::Unit { unit });
    }
    in_background(target, profile, state)
}

/// Whether the service manager's peerd would be where this environment expects it.
fn is_usual(target: &Target, state: &Path) -> bool {
    let variable = |name| dos_host::variables::var_os(name).map(PathBuf::from);
    let in_runtime = variable("XDG_RUNTIME_DIR").is_some_and(|runtime| target.socket.starts_with(runtime));
    in_runtime && variable("HOME").is_some_and(|home| state.starts_with(home.join(".local/state")))
}

/// What the user's service manager answers; nothing if it fails or is not there.
fn systemctl(args: &[&str]) -> Option<String> {
    let output = Process::new("systemctl")
        .args(["--user", "--no-ask-password"])
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn in_background(target: &Target, profile: &str, state: &Path) -> Result<Started, Error> {
    let failed = |error: io::Error| {
        of_file(format!("cannot write a log in \"{}\"", state.display()), &error, Code::NoDaemon)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
    let log = state.join(LOG_NAME);
    if fs::metadata(&log).is_ok_and(|known| known.len() >= LOG_BYTES_MAX) {
        fs::rename(&log, log.with_extension("log.old")).map_err(failed)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&log).map_err(failed)?;
    let before = file.metadata().map_err(failed)?.len();
    let program = program();
    let mut child = Process::new(&program)
        .args(["--detached", "--profile", profile])
        .envs(notify())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|error| {
            let text = format!("cannot start \"{}\"", program.display());
            WireError::new(Code::NoDaemon, text).caused_by(cause_of(&error)).hint("dosctl --help")
        })?;
    wait(target, || ended(&mut child, &log, before))?;
    Ok(Started::Background { log })
}

/// Has the desktop show what happens, where there is one; what a person has set stays.
fn notify() -> Option<(&'static str, &'static str)> {
    let variable = dos_host::variables::var_os;
    let has_bus = variable("DBUS_SESSION_BUS_ADDRESS").is_some()
        || variable("XDG_RUNTIME_DIR").is_some_and(|runtime| Path::new(&runtime).join("bus").exists());
    let is_set = variable("PEERD_NOTIFY").is_some() || variable("PEERD_CONFIG").is_some();
    (has_bus && !is_set).then_some(("PEERD_NOTIFY", "on"))
}

/// The peerd beside this program, else the one in the PATH.
pub(crate) fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name("peerd"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| OsStr::new("peerd").into())
}

/// Why it has ended, if it has.
fn ended(child: &mut Child, log: &Path, before: u64) -> Option<WireError> {
    let status = child.try_wait().ok().flatten()?;
    let error = WireError::new(Code::NoDaemon, format!("peerd has ended at once ({status})"));
    let told = tail(log, before).unwrap_or_default();
    let last = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it has logged nothing");
    let shown = dos_host::shell::quoted(&log.display().to_string());
    Some(error.caused_by(last.trim().trim_start_matches("error: ")).hint(format!("less {shown}")))
}

fn tail(log: &Path, before: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(before.max(end.saturating_sub(LOG_TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits until the peerd that has begun to begin anew has done so.
///
/// # Errors
/// `no_daemon` if it does not come back.
pub(crate) fn await_anew(target: &Target) -> Result<(), Error> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match profiles::status(target) {
            Ok(status) if status.id.is_none() => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Ok(_) if Instant::now() >= deadline => {
                return Err(Error::new(Code::Timeout, "peerd does not begin anew"));
            }
            Ok(_) | Err(_) => {}
        }
        pause()?;
    }
}

/// Until the next look.
fn pause() -> Result<(), Error> {
    let pause = Timespec::try_from(LOOK_EVERY).map_err(io::Error::other).map_err(Error::Output)?;
    match poll(&mut [], Some(&pause)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Error::Output(error.into())),
    }
}

/// Waits until it answers, or has ended.
fn wait(target: &Target, mut ended: impl FnMut() -> Option<WireError>) -> Result<(), Error> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match Client::connect(target, None) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(error) = ended() {
            return Err(error.into());
        }
        pause()?;
    }
}
