//! The Debian packages: the programs built for release, what is generated from them, and cargo-deb with the metadata in the
//! manifests of dosd and peerd.

use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{cargo, dist};

/// Builds both packages and tells where they are.
///
/// # Errors
/// If something does not build, or cargo-deb is not there.
pub(crate) fn run() -> Result<()> {
    build().map(drop)
}

/// Builds both packages, and has them tried out on a real systemd, or be told that this is not possible here.
///
/// # Errors
/// As [`run`], or if they do not do what they must.
pub(crate) fn try_out() -> Result<()> {
    let packages = build()?;
    let status = Command::new(cargo::workspace().join("systemd/tests/run")).arg(packages).status();
    let status = status.context("cannot run systemd/tests/run")?;
    ensure!(status.success(), "the packages do not do what they must ({status})");
    Ok(())
}

/// The directory with the packages.
fn build() -> Result<PathBuf> {
    let target = cargo::build_programs()?;
    dist::generate(&target)?;
    let out = target.join("debian");
    for package in package_into(&out)? {
        writeln!(stdout(), "{}", package.display())?;
    }
    Ok(out)
}

fn package_into(out: &Path) -> Result<Vec<PathBuf>> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    for program in ["dosd", "peerd"] {
        cargo::deb(program, out).with_context(|| format!("cannot package {program}"))?;
    }
    let entries = fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?;
    let mut packages = Vec::new();
    for entry in entries {
        packages.push(entry?.path());
    }
    packages.sort();
    ensure!(packages.len() == 2, "there must be two packages in {}", out.display());
    Ok(packages)
}
