//! The table of formats in docs/pictures.md: what becomes of all files in a folder, beside libvips.
//!
//! Every file is looked at in a process of its own, so that a crash, a hang and memory are those of that file. What libvips makes of the same file
//! is compared with the preview block by block, as an eye would: it is the reference, and not always right. Without libvips that
//! column is empty. Nothing is written but to a temporary folder.

pub(crate) mod judged;
mod large;
mod one;
mod reference;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::say;
use judged::Judged;
pub(crate) use one::{One, look_at};

/// Files that are looked at, at most.
const FILES_MAX: usize = 50_000;

/// What `cargo xtask formats` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Formats {
    /// Folders of files, with all that is in them
    #[arg(required_unless_present = "large", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Also makes a picture of 12 megapixels in every format that libvips writes, and measures time and memory
    #[arg(long)]
    large: bool,
    /// Names every file that is not decoded, or is far from the reference
    #[arg(long)]
    each: bool,
}

/// Looks at all files, and prints the table.
///
/// # Errors
/// If a folder cannot be read.
pub(crate) fn run(options: &Formats) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for file in files(&options.folders)? {
        let judged = Judged::of(&file, scratch.path())?;
        if options.each && !judged.is_fine() {
            say(&format!("{}: {judged}", file.display()));
        }
        rows.entry(judged.format().to_owned()).or_default().add(judged);
    }
    let mut sizes = if options.large { large::measure(scratch.path())? } else { BTreeMap::new() };
    for name in sizes.keys() {
        rows.entry(name.clone()).or_default();
    }
    say(
        "| format | files | decoded | with a warning | placeholder | refused | largest error of a block, median and worst | 12 MP |",
    );
    say("| --- | ---: | ---: | ---: | --- | --- | --- | --- |");
    for (format, row) in rows {
        say(&row.line(&format, sizes.remove(&format).as_deref().unwrap_or("-")));
    }
    Ok(())
}

/// All files in the folders, in order.
pub(crate) fn files(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (mut found, mut waiting) = (Vec::new(), folders.to_vec());
    while let Some(folder) = waiting.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
        ensure!(found.len() <= FILES_MAX, "there are more than {FILES_MAX} files");
    }
    found.sort();
    Ok(found)
}

/// What became of the files of a format.
#[derive(Debug, Default)]
struct Row {
    files: usize,
    decoded: usize,
    warned: usize,
    placeholders: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
    errors: Vec<(u8, PathBuf)>,
}

impl Row {
    fn add(&mut self, judged: Judged) {
        self.files += 1;
        match judged {
            Judged::Decoded { warning, error, file, .. } => {
                self.decoded += 1;
                self.warned += usize::from(warning);
                self.errors.extend(error.map(|error| (error, file)));
            }
            Judged::Placeholder { why, .. } => *self.placeholders.entry(kind_of(&why)).or_default() += 1,
            Judged::Refused { why, .. } => *self.refused.entry(kind_of(&why)).or_default() += 1,
        }
    }

    fn line(mut self, format: &str, large: &str) -> String {
        self.errors.sort();
        let middle = self.errors.get(self.errors.len() / 2).map(|(error, _)| *error);
        let worst = self.errors.last();
        let errors = middle.zip(worst).map_or("-".into(), |(middle, (error, file))| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{middle}, {error} ({name}; {} compared)", self.errors.len())
        });
        format!(
            "| {format} | {} | {} | {} | {} | {} | {errors} | {large} |",
            self.files,
            self.decoded,
            self.warned,
            counted(&self.placeholders),
            counted(&self.refused),
        )
    }
}

/// A reason without what differs from file to file.
fn kind_of(why: &str) -> String {
    let mut kind = String::new();
    for word in why.split(' ') {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let word = if is_number { "N" } else { word };
        kind.push_str(if kind.is_empty() { "" } else { " " });
        kind.push_str(word);
    }
    kind
}

fn counted(reasons: &BTreeMap<String, usize>) -> String {
    if reasons.is_empty() {
        return "-".into();
    }
    let words = reasons.iter().map(|(why, count)| format!("{count}: {}", why.replace('|', "/")));
    words.collect::<Vec<_>>().join("; ")
}

/// A path for one file in the scratch folder.
fn scratch_file(scratch: &Path, name: &str) -> PathBuf {
    scratch.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_their_kind() {
        assert_eq!(kind_of("it is 12 pixels, at most 9 are"), "it is N pixels, at most N are");
        let reasons = BTreeMap::from([("a | b".to_owned(), 2), ("c".to_owned(), 1)]);
        assert_eq!(counted(&reasons), "2: a / b; 1: c");
        assert_eq!(counted(&BTreeMap::new()), "-");
    }

    #[test]
    fn the_worst_file_is_named() {
        let mut row = Row::default();
        for (error, name) in [(3, "a/x.png"), (9, "a/y.png"), (1, "a/z.png")] {
            let file = PathBuf::from(name);
            row.add(Judged::Decoded { format: "PNG".into(), warning: error == 9, error: Some(error), file });
        }
        assert_eq!(row.line("PNG", "-"), "| PNG | 3 | 3 | 1 | - | - | 3, 9 (y.png; 3 compared) | - |");
    }
}
