//! What became of a file, told by a process that was started for it.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use dos_preview::PREVIEW_PIXELS;
use dos_testing::Backoff;
use serde_json::Value;

use super::{reference, scratch_file};

/// What a file may take. None should come near.
const TIME_MAX: Duration = Duration::from_secs(30);
/// A block that is farther off than this is worth a look.
const FAR: u8 = 30;

const HANGS: &str = "IT HANGS";
const CRASHES: &str = "IT CRASHES";

/// What became of a file.
#[derive(Debug)]
pub(crate) enum Judged {
    /// It was decoded.
    Decoded {
        format: String,
        warning: bool,
        /// How far the worst block of its preview is from that of the reference, if that decodes it.
        error: Option<u8>,
        file: PathBuf,
    },
    /// It was shown as a placeholder.
    Placeholder { format: String, why: String },
    /// It was refused.
    Refused { format: String, why: String },
}

/// What the process tells of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) milliseconds: f64,
    /// By itself and the processes that it has started, whatever else runs.
    pub(crate) computing_milliseconds: u64,
    pub(crate) peak_kib: u64,
}

impl Judged {
    pub(super) fn of(file: &Path, scratch: &Path) -> Result<Self> {
        Ok(Self::with_cost(file, scratch)?.0)
    }

    pub(super) fn with_cost(file: &Path, scratch: &Path) -> Result<(Self, Cost)> {
        let preview = scratch_file(scratch, "preview.jpg");
        let (mut judged, cost) = Self::read(file, &ask(file, &preview, PREVIEW_PIXELS)?);
        if let Self::Decoded { error, .. } = &mut judged {
            *error = reference::distance(file, &preview, scratch)?;
        }
        Ok((judged, cost))
    }

    /// What becomes of it with a preview of this size, without the reference.
    pub(crate) fn alone(file: &Path, scratch: &Path, side: u32) -> Result<(Self, Cost)> {
        Ok(Self::read(file, &ask(file, &scratch_file(scratch, "preview.jpg"), side)?))
    }

    fn read(file: &Path, told: &Value) -> (Self, Cost) {
        let cost = Cost {
            milliseconds: told["milliseconds"].as_f64().unwrap_or(0.0),
            computing_milliseconds: told["computing_milliseconds"].as_u64().unwrap_or(u64::MAX),
            peak_kib: told["peak_kib"].as_u64().unwrap_or(0),
        };
        let format = told["format"].as_str().unwrap_or("none").to_owned();
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let judged = if let Some(why) = text("refused") {
            let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            Self::Refused { format: format!("refused, named .{extension}"), why }
        } else if let Some(why) = text("placeholder") {
            Self::Placeholder { format, why }
        } else {
            let warning = told["warning"].as_bool().unwrap_or(false);
            Self::Decoded { format, warning, error: None, file: file.to_owned() }
        };
        (judged, cost)
    }

    pub(super) fn format(&self) -> &str {
        match self {
            Self::Decoded { format, .. }
            | Self::Placeholder { format, .. }
            | Self::Refused { format, .. } => format,
        }
    }

    /// Whether it has an outcome: it has not crashed, and does not hang.
    pub(crate) fn is_told(&self) -> bool {
        !matches!(self, Self::Refused { why, .. } if why == HANGS || why == CRASHES)
    }

    /// Whether it was not known as a picture.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    pub(super) fn is_fine(&self) -> bool {
        matches!(self, Self::Decoded { error, warning: false, .. } if error.is_none_or(|error| error <= FAR))
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decoded { format, warning, error, .. } => {
                write!(f, "{format}, decoded{}", if *warning { " with a warning" } else { "" })?;
                error.map_or(Ok(()), |error| write!(f, ", a block is off by {error}"))
            }
            Self::Placeholder { format, why } => write!(f, "{format}, placeholder: {why}"),
            Self::Refused { why, .. } => write!(f, "refused: {why}"),
        }
    }
}

/// Starts a process for the file; a crash and a hang are told as refusals, as which they stand in the table.
fn ask(file: &Path, preview: &Path, side: u32) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.arg("formats-one").arg(file).arg(preview).arg("--side").arg(side.to_string());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let refused = |why: &str| Ok(serde_json::json!({ "refused": why }));
    let mut backoff = Backoff::within(TIME_MAX);
    while child.try_wait()?.is_none() {
        if !backoff.pause() {
            child.kill()?;
            child.wait()?;
            return refused(HANGS);
        }
    }
    let mut told = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut told)?;
    if !child.wait()?.success() {
        return refused(CRASHES);
    }
    serde_json::from_str(&told).context("a process has told nothing")
}
