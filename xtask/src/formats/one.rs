//! Looks at one file, in the process that was started for it, and tells what came of it as JSON.

use std::{
    fs::{self, File},
    io::BufReader,
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result};
use dos_preview::{Known, Looked, PREVIEW_PIXELS, look};

use crate::say;

/// One file.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// Which
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where its preview goes
    #[arg(value_name = "JPEG")]
    preview: PathBuf,
    /// The longest side of its preview
    #[arg(long, value_name = "N", default_value_t = PREVIEW_PIXELS)]
    side: u32,
}

/// Looks at it.
///
/// # Errors
/// If it cannot be read, or its preview not be written.
pub(crate) fn look_at(one: &One) -> Result<()> {
    let file = File::open(&one.file).with_context(|| format!("cannot open {}", one.file.display()))?;
    let bytes = file.metadata()?.len();
    let known = Known { name: "file", bytes, any: false, side: one.side };
    let start = Instant::now();
    let looked = look(BufReader::with_capacity(64 << 10, file), known);
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let told = match looked {
        Ok(Looked::Picture(picture)) => {
            fs::write(&one.preview, &picture.preview.jpeg)?;
            serde_json::json!({
                "format": picture.format.title(),
                "decoded": true,
                "warning": picture.warning.is_some(),
            })
        }
        Ok(Looked::Placeholder { format, why, .. }) => {
            serde_json::json!({ "format": format.title(), "placeholder": why.to_string() })
        }
        Err(why) => serde_json::json!({ "refused": why.to_string() }),
    };
    let mut told = told;
    told["milliseconds"] = milliseconds.into();
    told["computing_milliseconds"] = computing_milliseconds().into();
    told["peak_kib"] = peak_kib().into();
    say(&told.to_string());
    Ok(())
}

/// The most memory that this process had at a time, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What this process and those that it has waited for have computed, in milliseconds: whatever else runs does not count.
fn computing_milliseconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have anything in it; fields 14 to 17 are in hundredths of a second (proc_pid_stat(5)).
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10
}
