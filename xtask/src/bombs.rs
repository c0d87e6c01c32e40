//! Files that cost much more than they are large: what each takes, in a process of its own.
//!
//! Every format that is decoded has some: huge sizes, the same bytes many times, copies of copies, costly filters. Each must be decoded or
//! refused within the bounds below. They are made here, and lie in a temporary folder while this runs.

mod boxed;
mod coded;
mod drawn;
mod plain;

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};

use crate::{
    formats::judged::{Cost, Judged},
    say,
};

/// What a file may take: all of the memory that its process has, and its computing time in a build for releases.
const MEMORY_KIB_MAX: u64 = 64 << 10;
const MILLISECONDS_MAX: u64 = 2_000;
/// Other builds are slower.
const SLOWNESS: u64 = if cfg!(debug_assertions) { 3 } else { 1 };

/// A file that is made to cost.
pub(crate) struct Bomb {
    /// What is special about it; its extension behind a point.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Bomb {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// What `cargo xtask bombs` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Bombs {
    /// Also looks at the files in these folders
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Looks at those alone whose names contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The longest side of the previews: 256 or 512
    #[arg(long, value_name = "N", default_value_t = dos_preview::PREVIEW_PIXELS)]
    side: u32,
    /// Keeps the files in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Looks at all of them.
///
/// # Errors
/// If one takes more than it may.
pub(crate) fn run(options: &Bombs) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut bombs = plain::all()?;
    bombs.extend(coded::all()?);
    bombs.extend(boxed::all()?);
    bombs.extend(drawn::all());
    let mut files = Vec::new();
    for Bomb { name, bytes } in bombs {
        let file = options.keep.as_deref().unwrap_or(scratch.path()).join(name);
        fs::write(&file, bytes)?;
        files.push((file, true));
    }
    files.extend(crate::formats::files(&options.folders)?.into_iter().map(|file| (file, false)));
    say("| file | bytes | what becomes of it | computing | memory |");
    say("| --- | ---: | --- | ---: | ---: |");
    let (mut over, mut count) = (Vec::new(), 0);
    for (file, is_own) in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if options.only.as_ref().is_some_and(|text| !name.contains(text)) {
            continue;
        }
        count += 1;
        let (judged, cost) = Judged::alone(&file, scratch.path(), options.side)?;
        let mark = if is_within(cost) && judged.is_told() && !(is_own && judged.is_refused()) {
            ""
        } else {
            over.push(name.clone());
            " **over**"
        };
        let (bytes, mebibytes) = (fs::metadata(&file)?.len(), cost.peak_kib.div_ceil(1024));
        let milliseconds = cost.computing_milliseconds;
        say(&format!("| {name} | {bytes} | {judged} | {milliseconds} ms | {mebibytes} MiB{mark} |"));
    }
    ensure!(count > 0, "no file has such a name");
    ensure!(
        over.is_empty(),
        "{} take more than they may, or are not what they pose as: {}",
        over.len(),
        over.join(", ")
    );
    Ok(())
}

/// Whether it took no more than a file may; no memory at all is none that was measured.
fn is_within(cost: Cost) -> bool {
    (1..=MEMORY_KIB_MAX).contains(&cost.peak_kib)
        && cost.computing_milliseconds <= MILLISECONDS_MAX * SLOWNESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_no_more_than_its_bounds_and_what_was_not_measured_is_beyond_them() {
        let cost =
            |computing_milliseconds, peak_kib| Cost { milliseconds: 1e6, computing_milliseconds, peak_kib };
        assert!(is_within(cost(2_000, 65_536)));
        assert!(!is_within(cost(2_000, 65_537)));
        assert!(!is_within(cost(2_000 * SLOWNESS + 1, 65_536)));
        assert!(!is_within(cost(1, 0)));
        assert!(!is_within(cost(u64::MAX, 1)));
    }
}
