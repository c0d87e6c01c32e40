//! The real programs that are measured: built from this workspace if cargo runs us, else those beside our own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The directory of our own program: `TARGET/PROFILE`.
    beside: PathBuf,
}

impl Programs {
    /// Those of the same build as ours.
    ///
    /// # Errors
    /// If the system does not tell where we are.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        Ok(Self { beside: own.parent().context("the program is in no directory")?.to_owned() })
    }

    /// A directory on the disk on which the programs are.
    pub(crate) fn directory(&self) -> &Path {
        &self.beside
    }

    /// The program `name` of `package`, up to date.
    ///
    /// # Errors
    /// If it cannot be built, or is missing.
    pub(crate) async fn get(&self, package: &str, name: &str) -> anyhow::Result<PathBuf> {
        if let Some(cargo) = std::env::var_os("CARGO") {
            let target = self.beside.parent().context("the program is in no target directory")?;
            let profile = match self.beside.file_name().and_then(|name| name.to_str()) {
                Some("debug") | None => "dev",
                Some(profile) => profile,
            };
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--locked", "--package", package, "--bin", name]);
            build.args(["--profile", profile, "--target-dir"]).arg(target);
            build.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
            ensure!(build.status().await?.success(), "cannot build {name}");
        }
        let path = self.beside.join(name);
        let hint = "cargo build --release --locked --workspace --bins";
        ensure!(path.is_file(), "there is no {}; build it: {hint}", path.display());
        Ok(path)
    }
}
