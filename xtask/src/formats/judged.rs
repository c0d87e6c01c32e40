//! What became of a file, told by a process that was started for it.

use std::{
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use dos_testing::Backoff;
use serde_json::Value;

use super::{reference, scratch_file};

/// What a file may take. None should come near.
const TIME_MAX: Duration = Duration::from_secs(30);
/// A block that is farther off than this is worth a look.
const FAR: u8 = 30;

/// What became of a file.
#[derive(Debug)]
pub(super) enum Judged {
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
pub(super) struct Cost {
    pub(super) milliseconds: f64,
    pub(super) peak_kib: u64,
}

impl Judged {
    pub(super) fn of(file: &Path, scratch: &Path) -> Result<Self> {
        Ok(Self::with_cost(file, scratch)?.0)
    }

    pub(super) fn with_cost(file: &Path, scratch: &Path) -> Result<(Self, Cost)> {
        let preview = scratch_file(scratch, "preview.jpg");
        let told = ask(file, &preview)?;
        let cost = Cost {
            milliseconds: told["milliseconds"].as_f64().unwrap_or(0.0),
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
            let error = reference::distance(file, &preview, scratch)?;
            let warning = told["warning"].as_bool().unwrap_or(false);
            Self::Decoded { format, warning, error, file: file.to_owned() }
        };
        Ok((judged, cost))
    }

    pub(super) fn format(&self) -> &str {
        match self {
            Self::Decoded { format, .. }
            | Self::Placeholder { format, .. }
            | Self::Refused { format, .. } => format,
        }
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
fn ask(file: &Path, preview: &Path) -> Result<Value> {
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.arg("formats-one").arg(file).arg(preview);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let refused = |why: &str| Ok(serde_json::json!({ "refused": why }));
    let mut backoff = Backoff::within(TIME_MAX);
    while child.try_wait()?.is_none() {
        if !backoff.pause() {
            child.kill()?;
            child.wait()?;
            return refused("IT HANGS");
        }
    }
    let mut told = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut told)?;
    if !child.wait()?.success() {
        return refused("IT CRASHES");
    }
    serde_json::from_str(&told).context("a process has told nothing")
}
