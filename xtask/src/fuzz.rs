//! `cargo xtask fuzz`: builds the fuzz targets (`fuzz/`) with AddressSanitizer, feeds them, and tells how much each was tried.
//!
//! With stable Rust: `RUSTC_BOOTSTRAP` allows the flags for the sanitizer and for coverage, here and nowhere else. What is fed to begin
//! with is committed (`fuzz/corpus`); what the fuzzer adds to that stays in the target directory, and is where the next run begins.
//! What fails a target is left in `target/fuzz/artifacts`.

mod seeds;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use dos_testing::{Backoff, Guarded, has_program};

use crate::{cargo, say};

/// What is to be fuzzed.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// For how long in all; the targets share it
    #[arg(long, value_name = "N", default_value_t = 1800)]
    seconds: u64,
    /// Makes the committed inputs anew, from golden messages, rows and painted pictures, and feeds nothing
    #[arg(long)]
    seeds: bool,
    /// Leaves out the targets of the daemons, which take longest to build
    #[arg(long)]
    without_daemons: bool,
    /// Some targets only
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// One input takes no longer; a bound of ours that is missed shows here.
const INPUT_SECONDS_MAX: u32 = 20;

/// Memory of one process, with the sanitizer's own, in MiB: a preview may take 64 MiB and four bytes a pixel of 64 million.
const PICTURE_MEMORY_MAX: u32 = 2048;

/// The largest allocation of the rest, in MiB: a frame has 1 MiB.
const ALLOCATION_MAX: u32 = 16;

/// Bytes of an input: what is longer than these is only slower.
const INPUT_BYTES_MAX: u32 = 4096;
const PICTURE_BYTES_MAX: u32 = 16_384;

/// After its time a fuzzer ends within this.
const GRACE: Duration = Duration::from_secs(60);

/// What came of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tried {
    executions: u64,
    seconds: u64,
    is_sound: bool,
}

/// Fuzzes.
///
/// # Errors
/// If the targets do not build, or one fails.
pub(crate) fn run(options: &Fuzz) -> Result<()> {
    let folder = cargo::workspace().join("fuzz");
    if options.seeds {
        return seeds::make(&cargo::workspace(), &folder.join("corpus"));
    }
    let mut targets = targets(&folder.join("corpus"), &options.targets)?;
    targets.retain(|target| !options.without_daemons || program_of(target) != DAEMONS);
    let needs_daemons = targets.iter().any(|target| program_of(target) == DAEMONS);
    let out = cargo::target_dir()?.join("fuzz");
    let programs = build(&folder, &out, needs_daemons)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = u64::try_from(targets.len().div_ceil(cores)).unwrap_or(u64::MAX);
    let seconds = (options.seconds / share.max(1)).max(1);
    let mut tried = BTreeMap::new();
    for batch in targets.chunks(cores) {
        let begin = |target: &String| Fuzzing::begin(&programs, (&folder, &out), target, seconds);
        let running = batch.iter().map(begin).collect::<Result<Vec<_>>>()?;
        for fuzzing in running {
            tried.insert(fuzzing.target.clone(), fuzzing.end()?);
        }
    }
    report(&tried, &out)
}

fn report(tried: &BTreeMap<String, Tried>, out: &Path) -> Result<()> {
    say("\n| target | executions | seconds | |\n| --- | ---: | ---: | --- |");
    for (target, Tried { executions, seconds, is_sound }) in tried {
        let verdict = if *is_sound { "sound" } else { "FAILED" };
        say(&format!("| `{target}` | {executions} | {seconds} | {verdict} |"));
    }
    let all: u64 = tried.values().map(|tried| tried.executions).sum();
    say(&format!("{all} executions of {} targets", tried.len()));
    let failed: Vec<&str> =
        tried.iter().filter(|(_, tried)| !tried.is_sound).map(|(target, _)| target.as_str()).collect();
    ensure!(failed.is_empty(), "failed: {}; see {}", failed.join(", "), out.join("log").display());
    Ok(())
}

/// All targets, or those that are named: each has a corpus.
fn targets(corpus: &Path, named: &[String]) -> Result<Vec<String>> {
    let entries = fs::read_dir(corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown:?}; there are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// The program that has the daemons in it.
const DAEMONS: &str = "daemons";

/// Which of the programs has a target: see `fuzz/src/lib.rs`.
fn program_of(target: &str) -> &'static str {
    match target {
        "config" | "identity" | "stored_rows" => DAEMONS,
        _ if target.starts_with("preview_") => "pictures",
        _ => "libraries",
    }
}

/// Builds the three programs that have all targets, and tells where they are.
fn build(folder: &Path, out: &Path, needs_daemons: bool) -> Result<PathBuf> {
    let tools = cargo::target_dir()?.join("tools/bin");
    ensure!(
        has_program("cargo-fuzz") || tools.join("cargo-fuzz").exists(),
        "there is no cargo-fuzz; it comes with `cargo install cargo-fuzz --locked`"
    );
    // cargo-fuzz knows no --locked: so what is not in the lock file is told before.
    let manifest = folder.join("Cargo.toml");
    let mut fetch = Command::new(cargo_program());
    fetch.args(["fetch", "--locked", "--manifest-path"]).arg(&manifest);
    ensure!(fetch.status().context("cannot run cargo")?.success(), "fuzz/Cargo.lock is not up to date");
    let mut build = Command::new(cargo_program());
    build.current_dir(folder);
    // With the assertions that `fuzz/Cargo.toml` names.
    build.args(["fuzz", "build", "--release", "--codegen-units", "16", "--target-dir"]).arg(out);
    if needs_daemons {
        build.args(["--features", "daemons"]);
    }
    let mut path = OsString::from(tools);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    build.env("PATH", path).env("RUSTC_BOOTSTRAP", "1");
    build.env(format!("CC_{}", TRIPLE.replace('-', "_")), folder.join("cc"));
    // What cargo has set for this program is about another package.
    build.env_remove("CARGO_MANIFEST_DIR").env_remove("RUSTFLAGS");
    ensure!(build.status().context("cannot run cargo")?.success(), "the fuzz targets do not build");
    Ok(out.join(TRIPLE).join("release"))
}

/// Where libFuzzer and the sanitizer are known to work together with what `fuzz/cc` builds.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

fn cargo_program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A fuzzer that runs.
struct Fuzzing {
    target: String,
    child: Guarded,
    log: PathBuf,
    seconds: u64,
    begun: Instant,
}

impl Fuzzing {
    fn begin(programs: &Path, (folder, out): (&Path, &Path), target: &str, seconds: u64) -> Result<Self> {
        let [found, artifacts, logs] = ["found", "artifacts", "log"].map(|name| out.join(name));
        let (found, artifacts) = (found.join(target), artifacts.join(target));
        for folder in [&found, &artifacts, &logs] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let log = logs.join(format!("{target}.log"));
        let is_picture = target.starts_with("preview_");
        let bytes = if is_picture { PICTURE_BYTES_MAX } else { INPUT_BYTES_MAX };
        let allocation = if is_picture { PICTURE_MEMORY_MAX } else { ALLOCATION_MAX };
        let program = program_of(target);
        let mut command = Command::new(programs.join(program));
        command.env("DOS_FUZZ_TARGET", target);
        command.args(["-print_final_stats=1", "-detect_leaks=0"]);
        // Nor at its end: the decoder of AV1 loses 48 bytes with each picture.
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            format!("-rss_limit_mb={PICTURE_MEMORY_MAX}"),
            format!("-malloc_limit_mb={allocation}"),
            format!("-max_len={bytes}"),
            format!("-artifact_prefix={}/", artifacts.display()),
        ]);
        // New inputs go into the first folder.
        command.arg(found).arg(folder.join("corpus").join(target));
        let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = Guarded::try_start(&mut command).context("cannot run the fuzzer")?;
        Ok(Self { target: target.to_owned(), child, log, seconds, begun: Instant::now() })
    }

    /// Waits for its end; one that does not end has failed.
    fn end(mut self) -> Result<Tried> {
        let mut waiting = Backoff::within(Duration::from_secs(self.seconds) + GRACE);
        let ended = loop {
            match self.child.try_wait()? {
                Some(status) => break Some(status),
                None if waiting.pause() => {}
                None => break None,
            }
        };
        let seconds = self.begun.elapsed().as_secs();
        let log = fs::read(&self.log).unwrap_or_default();
        let executions = executions(&String::from_utf8_lossy(&log));
        Ok(Tried { executions, seconds, is_sound: ended.is_some_and(|status| status.success()) })
    }
}

/// How often the target ran, by libFuzzer's own figures.
fn executions(log: &str) -> u64 {
    let figure = log.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    figure.and_then(|figure| figure.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_inputs_and_every_input_a_target() {
        let workspace = cargo::workspace();
        let source = fs::read_to_string(workspace.join("fuzz/src/lib.rs")).unwrap();
        // A name and a function in a tuple, wherever it stands.
        let tuples = source.split("(\"").skip(1).filter_map(|rest| rest.split_once("\", "));
        let mut names: Vec<&str> = tuples.map(|(name, _)| name).collect();
        names.sort_unstable();
        let corpus = workspace.join("fuzz/corpus");
        assert_eq!(targets(&corpus, &[]).unwrap(), names);
        for name in names {
            assert!(fs::read_dir(corpus.join(name)).unwrap().count() > 0, "{name} has no inputs");
        }
        assert!(targets(&corpus, &["nothing".into()]).is_err());
    }

    #[test]
    fn figures_are_libfuzzers() {
        assert_eq!(executions("Done\nstat::number_of_executed_units: 1234\nstat::x: 1\n"), 1234);
        assert_eq!(executions("==1== ERROR"), 0);
    }
}
