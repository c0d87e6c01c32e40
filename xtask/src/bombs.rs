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

use crate::{formats::judged::Judged, say};

/// What a file may take: all of the memory that its process has, and its time in a build for releases.
const MEMORY_KIB_MAX: u64 = 64 << 10;
const MILLISECONDS_MAX: f64 = 2_000.0;
/// Other builds are slower.
const SLOWNESS: f64 = if cfg!(debug_assertions) { 3.0 } else { 1.0 };

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
        files.push(file);
    }
    files.extend(crate::formats::files(&options.folders)?);
    say("| file | bytes | what becomes of it | time | memory |");
    say("| --- | ---: | --- | ---: | ---: |");
    let mut over = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if options.only.as_ref().is_some_and(|text| !name.contains(text)) {
            continue;
        }
        let (judged, cost) = Judged::alone(&file, scratch.path(), options.side)?;
        let is_over = cost.peak_kib > MEMORY_KIB_MAX || cost.milliseconds > MILLISECONDS_MAX * SLOWNESS;
        let mark = if is_over || !judged.is_told() { " **over**" } else { "" };
        let (bytes, mebibytes) = (fs::metadata(&file)?.len(), cost.peak_kib.div_ceil(1024));
        say(&format!(
            "| {name} | {bytes} | {judged} | {:.0} ms | {mebibytes} MiB{mark} |",
            cost.milliseconds
        ));
        if !mark.is_empty() {
            over.push(name);
        }
    }
    ensure!(over.is_empty(), "{} take more than they may: {}", over.len(), over.join(", "));
    Ok(())
}
