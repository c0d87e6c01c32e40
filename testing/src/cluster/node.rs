//! A node: a dosd on a server of its own.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result};

use super::{
    database::replaced,
    place::{Host, Place},
};
use crate::{Guarded, Signal};

/// Where peers come in.
pub(super) const PORT: u16 = 5001;
/// Where the other nodes come in.
const CLUSTER_PORT: u16 = 5003;

/// The settings of a node, as an operator writes them.
const SETTINGS: &str = include_str!("../../../docs/cluster/dosd.toml");

/// Where the store is.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) url: String,
    /// The authority's certificate and the password, in files.
    pub(super) secured: Option<(String, String)>,
}

impl Store {
    /// As flags.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--store={}", self.url)];
        if let Some((authority, password)) = &self.secured {
            flags.extend([format!("--store-ca={authority}"), format!("--store-password-file={password}")]);
        }
        flags
    }
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: Host,
    program: PathBuf,
    pub(super) data: PathBuf,
    log: PathBuf,
    args: Vec<String>,
    process: Option<Guarded>,
}

impl Node {
    /// One whose data is below `home`; it does not run yet. All nodes have these arguments, and a place to keep their store: the
    /// address, the authority's certificate, the password's file.
    pub(super) fn new(
        at: usize,
        home: &Path,
        program: &Path,
        (place, store, args): (&Place, &Store, &[&str]),
    ) -> Result<Self> {
        let host = Host::Node(at);
        let data = home.join(host.name());
        DirBuilder::new().mode(0o700).create(&data)?;
        let log = home.join(format!("{}.log", host.name()));
        let address = place.address(host);
        let (advertise, cluster) = (format!("{address}:{PORT}"), format!("{address}:{CLUSTER_PORT}"));
        let mut own = vec![format!("--listen={advertise}")];
        match store {
            Store { url, secured: Some((authority, password)) } => {
                let places = [
                    ("dos1.example.org:5001", advertise),
                    ("10.0.0.21:5003", cluster),
                    ("postgres://dosd@db1,db2,db3/dosd", url.clone()),
                    ("/etc/dos/db.pem", authority.clone()),
                    ("/var/lib/dosd/db.password", password.clone()),
                ];
                let places = places.map(|(old, new)| (old.to_owned(), new));
                let file = home.join(format!("{}.toml", host.name()));
                fs::write(&file, replaced(SETTINGS.to_owned(), &places)?)?;
                own.push(format!("--config={}", file.display()));
            }
            Store { url, secured: None } => {
                own.extend([
                    format!("--advertise={advertise}"),
                    format!("--cluster={cluster}"),
                    format!("--store={url}"),
                ]);
            }
        }
        own.extend(args.iter().map(ToString::to_string));
        Ok(Self { host, program: program.to_owned(), data, log, args: own, process: None })
    }

    /// Gives it the key of the first one.
    pub(super) fn take_key(&self, of: &Self) -> Result<()> {
        let name = "server.key";
        fs::copy(of.data.join(name), self.data.join(name)).context("the key cannot be copied").map(drop)
    }

    pub(super) fn start(&mut self, place: &Place) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.args(["serve", "--data-dir"]).arg(&self.data).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(place.start(self.host, &mut command)?);
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(self.process.as_ref().context("the node does not run")?.try_signal(signal)?)
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::id)
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)))
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Runs an operator's command.
    pub(super) fn operate(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(args).arg("--data-dir").arg(&self.data).stdin(Stdio::null());
        command.output().context("cannot run dosd")
    }
}
