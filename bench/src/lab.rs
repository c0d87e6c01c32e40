//! What every measurement is given: the programs, a place on the disk, and how thorough to be.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::{bare::Bare, dosd::Dosd, programs::Programs, rows::ClusterOptions};

/// File descriptors that the largest measurement needs, on either side.
const FILES_NEEDED: u64 = 5_500;

/// A free port of the loopback interface.
pub(crate) const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// See the module.
#[derive(Debug)]
pub(crate) struct Lab {
    /// What is measured.
    pub(crate) programs: Programs,
    /// Small numbers, few rounds.
    pub(crate) quick: bool,
    /// What to do with a cluster.
    pub(crate) cluster: ClusterOptions,
    dir: TempDir,
}

impl Lab {
    /// Prepares the place, and as many open files as the system allows.
    ///
    /// # Errors
    /// If the system allows too few files, or the place cannot be made.
    pub(crate) fn open(
        programs: Programs,
        (dir, quick): (Option<PathBuf>, bool),
        cluster: ClusterOptions,
    ) -> anyhow::Result<Self> {
        let files =
            rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of open files")?;
        ensure!(
            files >= FILES_NEEDED || quick,
            "the hard limit of open files is {files}, {FILES_NEEDED} are needed: raise it (ulimit -Hn), or use --quick"
        );
        let parent = dir.unwrap_or_else(|| programs.directory().to_owned());
        let dir = TempDir::with_prefix_in("dos-bench-", &parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        Ok(Self { programs, quick, cluster, dir })
    }

    /// Where everything is kept until the end.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One number for a real run, another for a quick one.
    pub(crate) fn pick<T>(&self, real: T, quick: T) -> T {
        if self.quick { quick } else { real }
    }

    /// A dosd on a data directory of this name, and the bare server.
    ///
    /// # Errors
    /// If dosd cannot be built or the directory not be made.
    pub(crate) async fn pair(&self, name: &str) -> anyhow::Result<(Dosd, Bare)> {
        let program = self.programs.get("dosd", "dosd").await?;
        Ok((Dosd::new(&program, &self.dir().join(name))?, Bare::new(self.dir())?))
    }
}

/// Registers everybody with a dosd that runs only for that, so that what is measured begins with sign-ins.
///
/// # Errors
/// If dosd does not come up, or refuses somebody.
pub(crate) async fn register_all(
    dosd: &Dosd,
    secrets: &[dos_protocol::key::SecretKey],
) -> anyhow::Result<()> {
    let server = dosd.start(ANYWHERE).await?;
    let callers = crate::load::callers(secrets, server.target)?;
    let (_, sessions) = crate::load::storm(&callers, &crate::load::Entry::Register(None)).await?;
    drop(sessions);
    server.settle().await?;
    server.kill().await
}
