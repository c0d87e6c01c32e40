//! dosd as it is shipped: the real program, its log in a file of its data directory, with its default settings but for one:
//! anybody may register, as fast as they like, since thousands of peers come from one address here.

use std::{
    fs::{DirBuilder, File},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use dos_protocol::JoinLink;
use dos_testing::Backoff;
use tokio::{process::Command, time};

use crate::server::{Server, Target};

/// The longest that it may take to come up, also on a database of a million peers.
const START_TIME_MAX: Duration = Duration::from_secs(600);

/// How to start dosd on one data directory, as often as wanted.
#[derive(Debug)]
pub(crate) struct Dosd {
    program: PathBuf,
    data_dir: PathBuf,
    /// Where its store is, if not in the data directory.
    store: Option<String>,
}

impl Dosd {
    /// On this data directory, which is made private here as dosd would.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn new(program: &Path, data_dir: &Path) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        Ok(Self { program: program.to_owned(), data_dir: data_dir.to_owned(), store: None })
    }

    /// The same with its store on a database server, at this address.
    #[must_use]
    pub(crate) fn on(self, store: String) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The database in it.
    pub(crate) fn database(&self) -> PathBuf {
        self.data_dir.join("dosd.db")
    }

    /// Starts the process and waits until it serves.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) async fn start(&self, listen: SocketAddr) -> anyhow::Result<Server> {
        let log = File::options().create(true).append(true).open(self.data_dir.join("log"))?;
        let mut child = Command::new(&self.program)
            .args(["serve", "--listen", &listen.to_string(), "--data-dir"])
            .arg(&self.data_dir)
            .args(["--registration", "open", "--registrations-per-minute", "1000000"])
            // Everybody comes from one address, as fast as it goes: what is measured is not the limits.
            .args(["--sessions-per-address", "100000", "--handshakes-per-minute", "100000000"])
            .args(["--requests-per-second", "10000000", "--messages-per-minute", "100000000"])
            .args(["--views-per-minute", "1000000000"])
            .args(["--relay-bytes-per-second", "1000000000000"])
            .args(["--relay-bytes-per-second-per-peer", "1000000000000"])
            .args(self.store.iter().flat_map(|store| ["--store", store]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start dosd")?;
        let mut backoff = Backoff::within(START_TIME_MAX);
        let link = loop {
            if let Some(link) = self.ask_link().await? {
                break link;
            }
            ensure!(child.try_wait()?.is_none(), "dosd has ended; its log is in {}", self.data_dir.display());
            time::sleep(backoff.next_pause().context("dosd does not answer")?).await;
        };
        let target = Target { address: link.address().parse()?, key: link.key };
        Ok(Server::new(child, target))
    }

    /// The join link, once the server answers.
    async fn ask_link(&self) -> anyhow::Result<Option<JoinLink>> {
        let asked =
            Command::new(&self.program).args(["link", "--data-dir"]).arg(&self.data_dir).output().await?;
        if !asked.status.success() {
            return Ok(None);
        }
        Ok(Some(String::from_utf8(asked.stdout)?.trim().parse()?))
    }
}
