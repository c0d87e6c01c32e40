//! Cargo as a child: building the programs, and finding what was built.
//!
//! Always `--locked`, always in the workspace that this program belongs to, wherever it is called from.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Builds the programs for release, with cargo's own output, and tells where build output goes.
///
/// # Errors
/// If they do not build.
pub(crate) fn build_programs() -> Result<PathBuf> {
    let packages = ["-p", "dosd", "-p", "peerd", "-p", "dosctl"];
    let status = cargo("build").args(["--release", "--locked"]).args(packages).status();
    let status = status.context("cannot run cargo")?;
    ensure!(status.success(), "the programs do not build");
    target_dir()
}

/// Builds the programs of an earlier commit in a checkout of their own, and tells where they are.
///
/// # Errors
/// If there is no such commit here, or they do not build.
pub(crate) fn build_earlier(commit: &str, target: &Path) -> Result<PathBuf> {
    let checkout = crate::earlier::checkout_of(commit, target);
    if !checkout.is_dir() {
        let mut git = Command::new("git");
        git.current_dir(workspace())
            .args(["worktree", "add", "--detach", "--force"])
            .arg(&checkout)
            .arg(commit);
        let status = git.status().context("cannot run git")?;
        ensure!(status.success(), "git has no commit {commit}");
    }
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(&checkout).args(["build", "--release", "--locked"]);
    build.args(["-p", "dosd", "-p", "peerd", "-p", "dosctl", "--target-dir"]).arg(checkout.join("target"));
    let status = build.status().context("cannot run cargo")?;
    ensure!(status.success(), "the programs of {commit} do not build");
    Ok(checkout.join("target/release"))
}

/// Where build output goes, as cargo's configuration and environment have it.
///
/// # Errors
/// If cargo does not tell.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let mut metadata = cargo("metadata");
    metadata.args(["--no-deps", "--format-version", "1", "--locked"]).stderr(Stdio::inherit());
    let output = metadata.output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo cannot tell where its output goes");
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    let directory = metadata["target_directory"].as_str().context("cargo tells of no target directory")?;
    Ok(directory.into())
}

/// All packages of a lock file, as cargo's metadata has them.
///
/// # Errors
/// If cargo does not tell.
pub(crate) fn packages(manifest: &Path) -> Result<Vec<Value>> {
    let mut metadata = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    metadata.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]).arg(manifest);
    let output = metadata.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo cannot tell the packages of {}", manifest.display());
    let mut metadata: Value =
        serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("cargo tells of no packages"),
    }
}

/// Packages a program that is built already into the directory `out`.
///
/// # Errors
/// If cargo-deb is missing or fails.
pub(crate) fn deb(program: &str, out: &Path) -> Result<()> {
    let mut command = cargo("deb");
    // cargo-deb looks at one manifest, that of the package.
    command.args(["--no-build", "--locked", "--package", program, "--output"]).arg(out);
    let status = command.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "cargo deb ended with {status}; it comes with `cargo install cargo-deb --locked`"
    );
    Ok(())
}

/// Kills programs at random moments of a view, this many times.
///
/// # Errors
/// If they do not build, or if a count is wrong.
pub(crate) fn kills(kills: u32) -> Result<()> {
    let mut command = tests("peerd", "campaign::no_kill")?;
    let status = command.env("DOS_KILLS", kills.to_string()).status().context("cannot run the tests")?;
    ensure!(status.success(), "a count was wrong");
    Ok(())
}

/// Plays the attacks of the tests in their full size: all of them, or those whose name begins so.
///
/// # Errors
/// If they do not build, or if one succeeds.
pub(crate) fn attack(name: Option<&str>) -> Result<()> {
    let filter = format!("attack::{}", name.unwrap_or_default());
    let mut failed = Vec::new();
    for program in ["dosd", "peerd"] {
        let mut command = tests(program, &filter)?;
        // One at a time: what an attack does to others is not to be another attack's doing.
        command.args(["--test-threads", "1"]);
        let status = command.env("DOS_ATTACK", "long").status().context("cannot run the tests")?;
        if !status.success() {
            failed.push(program);
        }
    }
    ensure!(failed.is_empty(), "an attack succeeded against {}", failed.join(" and "));
    Ok(())
}

/// Builds the programs as tests use them, and tells where they are.
///
/// The whole workspace, here and in [`tests`]: for some packages alone cargo would choose other features of what they depend on, and build
/// all of that once more.
///
/// # Errors
/// If they do not build.
pub(crate) fn build_debug() -> Result<PathBuf> {
    let built = cargo("build").args(["--locked", "--workspace", "--all-targets"]).status();
    ensure!(built.context("cannot run cargo")?.success(), "the programs do not build");
    Ok(target_dir()?.join("debug"))
}

/// The integration tests of a package whose names have this in them, with the programs that they start, as a command that runs them.
///
/// # Errors
/// If they do not build.
pub(crate) fn tests(package: &str, filter: &str) -> Result<Command> {
    let mut build = cargo("test");
    build.args(["--locked", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the tests do not build");
    let directory = workspace().join(package);
    let manifest = directory.join("Cargo.toml");
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let program =
        messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok()).find_map(|message| {
            let is_it = message["target"]["name"] == "it"
                && message["manifest_path"].as_str().map(Path::new) == Some(&manifest);
            if is_it { message["executable"].as_str().map(PathBuf::from) } else { None }
        });
    let mut command = Command::new(program.with_context(|| format!("{package} has no integration tests"))?);
    // Where cargo runs them.
    command.current_dir(&directory).arg(filter);
    Ok(command)
}

/// Runs the measurements.
///
/// # Errors
/// If they cannot be run, or fail.
pub(crate) fn bench(args: &[OsString]) -> Result<()> {
    bench_as(args, true)
}

/// The same with a release build or a debug build.
///
/// # Errors
/// As [`bench()`].
pub(crate) fn bench_as(args: &[OsString], is_release: bool) -> Result<()> {
    let mut command = if is_release {
        let mut command = cargo("run");
        command.args(["--release", "--locked", "-p", "dos-bench", "--"]);
        command
    } else {
        let mut command = Command::new(build_debug()?.join("dos-bench"));
        // With it, it would build the programs anew.
        command.env_remove("CARGO");
        command
    };
    let status = command.args(args).status().context("cannot run the measurements")?;
    if !status.success() {
        bail!("the measurements ended with {status}");
    }
    Ok(())
}

fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).arg("--manifest-path").arg(workspace().join("Cargo.toml"));
    command
}

/// The workspace's root: cargo says so to what it runs; a program run by hand was told when it was built.
pub(crate) fn workspace() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map(Path::to_owned).unwrap_or(package)
}
