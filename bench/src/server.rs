//! A server under test as a process of its own: where it is, what it holds, and its end.
//!
//! Memory and computing time are the kernel's account of that process alone; the load generator is not in them.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use dos_protocol::{JoinLink, PublicKey};
use tokio::{process::Child, time};

/// Where a server is, and the key it must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its public key.
    pub(crate) key: PublicKey,
}

impl Target {
    /// The join link of a dosd there.
    pub(crate) fn link(&self) -> String {
        let (host, port) = (self.address.ip().to_string().into(), self.address.port());
        JoinLink { key: self.key, host, port, others: Vec::new(), invite: None, invitation: None }.to_string()
    }
}

/// What a process holds in memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Everything resident.
    pub(crate) resident: f64,
    /// What no other process shares.
    pub(crate) private: f64,
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Where it is.
    pub(crate) target: Target,
}

/// A server that is computing less than this share of the time has nothing left to do.
const QUIET: f64 = 0.02;

impl Server {
    /// The server that `child` is.
    pub(crate) fn new(child: Child, target: Target) -> Self {
        Self { child, target }
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let pid = self.child.id().context("the server has ended")?;
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    /// What it holds now (`/proc/PID/smaps_rollup`).
    ///
    /// # Errors
    /// If it has ended, or the kernel does not tell.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let text = self.proc("smaps_rollup")?;
        let field = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
        };
        Ok(Memory { resident: field("Rss"), private: field("Private_Clean") + field("Private_Dirty") })
    }

    /// Computing time so far of all its threads, in seconds.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn computed(&self) -> anyhow::Result<f64> {
        computed(self.child.id().context("the server has ended")?)
    }

    /// Waits until it has nothing left to do, for half a minute at most.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(500);
        for _look in 0..60 {
            let before = self.computed()?;
            time::sleep(LOOK).await;
            if self.computed()? - before < QUIET * LOOK.as_secs_f64() {
                break;
            }
        }
        Ok(())
    }

    /// Ends it without warning, as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot end a server")
    }
}

/// Computing time so far of all threads of a process, in seconds.
///
/// # Errors
/// If it has ended.
pub(crate) fn computed(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
    // The name, in parentheses, may hold anything; utime and stime are the 14th and 15th field, in ticks of 10 ms.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / 100.0)
}
