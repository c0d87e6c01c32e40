//! What a cluster needs of the machine: which programs are missing, and how they get there.
//!
//! Debian's packages are installed only when that is asked for. Patroni, of which Debian's is too old, comes into a virtual environment of
//! Python below a directory of the caller's.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::getuid;

use crate::{has_program, postgres::programs};

/// Programs on the search path, and Debian's packages that have them.
const PROGRAMS: [(&str, &str); 4] =
    [("etcd", "etcd-server"), ("openssl", "openssl"), ("curl", "curl"), ("ip", "iproute2")];

/// What `pip` installs.
const PATRONI: [&str; 2] = ["patroni[etcd3]>=4,<5", "psycopg[binary]>=3,<4"];

/// The one that the server's user can run, too.
const PYTHON: &str = "/usr/bin/python3";

/// Debian's packages that are missing for a cluster under Patroni.
#[must_use]
pub fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !has_program(program))
        .map(|(_, package)| package)
        .collect();
    if programs().is_none() {
        missing.push("postgresql");
    }
    let mut venv = Command::new(PYTHON);
    venv.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stderr(Stdio::null());
    if !venv.status().is_ok_and(|status| status.success()) {
        missing.push("python3-venv");
    }
    missing
}

/// Installs Debian's packages.
///
/// # Errors
/// If this is not Debian, not root, or a package cannot be had.
pub fn install_packages(packages: &[&str]) -> Result<()> {
    ensure!(
        has_program("apt-get"),
        "only Debian's packages are known here: {} are missing",
        packages.join(", ")
    );
    ensure!(getuid().is_root(), "as root: apt-get install {}", packages.join(" "));
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let status = command.status().context("cannot run apt-get")?;
        ensure!(status.success(), "apt-get {} ended with {status}", args.join(" "));
        Ok(())
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-qy", "--no-install-recommends"], packages].concat())
}

/// Patroni's programs, in an environment in this directory, which is made if it is not there.
///
/// # Errors
/// If Patroni cannot be installed, or the server's user could not run it there.
pub fn patroni(place: &Path) -> Result<PathBuf> {
    let bin = place.join("bin");
    if !runs(&bin.join("patroni")) {
        fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut venv = Command::new(PYTHON);
        done(venv.args(["-m", "venv", "--clear"]).arg(place))?;
        done(Command::new(bin.join("pip")).args(["install", "-qq"]).args(PATRONI))?;
    }
    if getuid().is_root() {
        passable(&bin)?;
    }
    Ok(bin)
}

fn runs(program: &Path) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn done(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Whether everybody can get there: PostgreSQL does not run as root.
fn passable(place: &Path) -> Result<()> {
    for part in place.ancestors() {
        let mode = fs::metadata(part).with_context(|| format!("cannot look at {}", part.display()))?;
        if mode.permissions().mode() & 0o001 == 0 {
            bail!(
                "{} is closed to the user that PostgreSQL runs as; set CARGO_TARGET_DIR to a place that is not",
                part.display()
            );
        }
    }
    Ok(())
}
