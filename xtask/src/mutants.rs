//! Mutation testing of the rules: every decision is changed in every way that cargo-mutants knows, and the rules' own tests
//! must fail each time.
//!
//! The rules import the protocol and [`LIBRARIES`] alone (a rule that imports more does not compile here), so they are copied into
//! a package of their own under the build directory: what is built and tested for a mutant then takes a second, not a minute.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Programs that have rules.
const PROGRAMS: [&str; 2] = ["dosd", "peerd"];

/// What rules may import beside the protocol: libraries that compute and do nothing else.
const LIBRARIES: [&str; 1] = ["zxcvbn"];

/// What is installed if it is missing.
const TOOL: [&str; 3] = ["cargo-mutants", "--version", "^27"];

/// A mutant that loops is given up after this many seconds; the tests take less than one.
const TIMEOUT_S: &str = "8";

/// What cargo-mutants ends with if a change was missed ...
const MISSED: i32 = 2;

/// ... and if none was and some made the tests run on until they were given up.
const ENDLESS: i32 = 3;

/// Changes the rules of both programs and tests each change.
///
/// # Errors
/// If a change passes the tests, or the tools do not work.
pub(crate) fn run() -> Result<()> {
    let target = cargo::target_dir()?;
    install(&target)?;
    let folder = target.join("mutants");
    let packages = PROGRAMS.map(|program| format!("{program}-rules"));
    for (program, package) in PROGRAMS.iter().zip(&packages) {
        generate(program, &folder.join(package))?;
    }
    let members = packages.map(|package| format!("{package:?}")).join(", ");
    write(&folder.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"))?;
    // The versions that everything else is built with.
    copy(&cargo::workspace().join("Cargo.lock"), &folder.join("Cargo.lock"))?;
    let mut mutants = Command::new(tool(&target));
    mutants.args([
        "mutants",
        "--workspace",
        "--jobs",
        "2",
        "--no-shuffle",
        "--colors",
        "never",
        "--timeout",
        TIMEOUT_S,
    ]);
    mutants.arg("--dir").arg(&folder).arg("--output").arg(&target);
    let status = mutants.status().context("cannot run cargo-mutants")?;
    let missed = target.join("mutants.out/missed.txt");
    ensure!(status.code() != Some(MISSED), "changes that no test notices: {}", missed.display());
    // A change after which the tests never end is noticed, too.
    ensure!(status.success() || status.code() == Some(ENDLESS), "cargo-mutants failed: {status}");
    Ok(())
}

fn tool(target: &Path) -> PathBuf {
    let own = target.join("tools/bin/cargo-mutants");
    if own.exists() { own } else { "cargo-mutants".into() }
}

fn install(target: &Path) -> Result<()> {
    if Command::new(tool(target)).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let mut install = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status =
        install.arg("install").args(TOOL).args(["--locked", "--root"]).arg(target.join("tools")).status();
    ensure!(status.context("cannot run cargo")?.success(), "cargo-mutants cannot be installed");
    Ok(())
}

/// A package that holds the rules of a program and nothing else.
fn generate(program: &str, package: &Path) -> Result<()> {
    let workspace = cargo::workspace();
    if package.exists() {
        fs::remove_dir_all(package).with_context(|| format!("cannot remove {}", package.display()))?;
    }
    let protocol = workspace.join("protocol");
    let libraries = libraries(&workspace.join("Cargo.toml"))?;
    let manifest = format!(
        "[package]\nname = \"{program}-rules\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ndos-protocol = {{ path = {protocol:?} }}\n{libraries}"
    );
    write(&package.join("Cargo.toml"), &manifest)?;
    write(
        &package.join("src/lib.rs"),
        "#![expect(dead_code, unused_imports, reason = \"the program that uses it is not here\")]\nmod rules;\n",
    )?;
    copy_folder(&workspace.join(program).join("src/rules"), &package.join("src/rules"))
}

/// The lines of the workspace's manifest that say which [`LIBRARIES`] are used.
fn libraries(manifest: &Path) -> Result<String> {
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let is_wanted = |line: &&str| line.split_once(" =").is_some_and(|(name, _)| LIBRARIES.contains(&name));
    Ok(text.lines().filter(is_wanted).fold(String::new(), |lines, line| lines + line + "\n"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?.path();
        let target = to.join(entry.file_name().context("a file without a name")?);
        if entry.is_dir() { copy_folder(&entry, &target)? } else { copy(&entry, &target)? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    write(to, &fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?)
}

fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
