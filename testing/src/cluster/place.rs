//! Where the servers of a cluster are: each in a network namespace of its own, joined by a bridge, so that it can be cut off; or, for who is
//! not root, each at an address of its own on the loopback interface.
//!
//! ```text
//!   this machine 10.213.N.1 --- bridge --+-- db1 10.213.N.11   +-- dos1 10.213.N.21
//!                                        +-- db2 10.213.N.12   +-- dos2 10.213.N.22
//!                                        +-- db3 10.213.N.13   +-- dos3 10.213.N.23
//! ```
//!
//! What always holds: everything that was made here is gone when the handle is dropped; what an earlier process could not remove, since it
//! was killed, goes when the next one begins.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, getpid, getuid, kill_process};

use crate::{Backoff, Guarded, PATIENCE, within};

/// How all names of namespaces begin; the ID of the process that made them comes next.
pub(super) const PREFIX: &str = "dos-cluster-";

/// Numbers of networks that are tried.
const NETWORKS: u32 = 250;

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    /// The first three numbers of all addresses.
    network: String,
    /// How the names of namespaces begin; nothing on the loopback interface.
    namespaces: Option<String>,
    /// How the names of links begin.
    links: String,
}

/// A server in it: `db1` or `dos1`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Database(usize),
    Node(usize),
}

impl Host {
    pub(super) fn name(self) -> String {
        match self {
            Self::Database(at) => format!("db{}", at + 1),
            Self::Node(at) => format!("dos{}", at + 1),
        }
    }

    fn number(self) -> usize {
        match self {
            Self::Database(at) => 11 + at,
            Self::Node(at) => 21 + at,
        }
    }
}

fn ip(args: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output().context("cannot run ip")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", args.join(" "), told.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Place {
    /// Makes it for these servers, in namespaces if this is root.
    pub(super) fn new(hosts: &[Host]) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let links = format!("d{process}n{number}");
        if !getuid().is_root() {
            return Self::loopback();
        }
        sweep();
        let taken = ip(&["-o", "addr"])?;
        let free = |network: &String| !taken.contains(&format!(" {network}."));
        let network = networks("10.213", process).find(free).context("every network is in use")?;
        let place = Self { network, namespaces: Some(format!("{PREFIX}{process}-{number}-")), links };
        place.lay(hosts)?;
        Ok(place)
    }

    /// Makes it on the loopback interface.
    pub(super) fn loopback() -> Result<Self> {
        let free = |network: &String| TcpListener::bind((format!("{network}.21"), 5001)).is_ok();
        let network =
            networks("127.213", std::process::id()).find(free).context("every network is in use")?;
        Ok(Self { network, namespaces: None, links: String::new() })
    }

    fn lay(&self, hosts: &[Host]) -> Result<()> {
        let (bridge, here) = (self.bridge(), format!("{}.1/24", self.network));
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &here, "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for &host in hosts {
            let namespace = self.namespace(host).unwrap_or_default();
            let (link, address) = (self.link(host), format!("{}/24", self.address(host)));
            ip(&["netns", "add", &namespace])?;
            ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
            ip(&["link", "set", &link, "master", &bridge, "up"])?;
            ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}b", self.links)
    }

    fn link(&self, host: Host) -> String {
        format!("{}v{}", self.links, host.number())
    }

    /// The name of a server's cable, if it has one.
    pub(super) fn cable(&self, host: Host) -> Option<String> {
        self.can_cut().then(|| self.link(host))
    }

    /// Whether a server can be cut off.
    pub(super) fn can_cut(&self) -> bool {
        self.namespaces.is_some()
    }

    /// The namespace of a server.
    pub(super) fn namespace(&self, host: Host) -> Option<String> {
        self.namespaces.as_ref().map(|prefix| format!("{prefix}{}", host.name()))
    }

    pub(super) fn address(&self, host: Host) -> String {
        format!("{}.{}", self.network, host.number())
    }

    /// All addresses, as a network.
    pub(super) fn network(&self) -> String {
        self.source().map_or_else(|| format!("{}.0/24", self.network), |source| format!("{source}/32"))
    }

    /// Where every connection seems to come from, if not from the address of its server.
    pub(super) fn source(&self) -> Option<&'static str> {
        self.namespaces.is_none().then_some("127.0.0.1")
    }

    /// Starts a program on a server.
    pub(super) fn start(&self, host: Host, command: &mut Command) -> Result<Guarded> {
        let program = command.get_program().to_owned();
        let started = match self.namespace(host) {
            Some(namespace) => within(&namespace, || Guarded::try_start(command)),
            None => Guarded::try_start(command),
        };
        started.with_context(|| format!("cannot start {}", program.display()))
    }

    /// Takes a server's cable out.
    pub(super) fn cut(&self, host: Host) -> Result<()> {
        ensure!(self.can_cut(), "a server can only be cut off in a network namespace, which needs root");
        ip(&["link", "set", &self.link(host), "down"]).map(drop)
    }

    /// Puts it in again.
    pub(super) fn mend(&self, host: Host) -> Result<()> {
        ip(&["link", "set", &self.link(host), "up"]).map(drop)
    }

    /// Every process on a server; without namespaces those that these have started.
    pub(super) fn processes(&self, host: Host, roots: &[u32]) -> Vec<Pid> {
        match self.namespace(host) {
            Some(namespace) => in_namespace(&namespace),
            None => descendants(roots),
        }
    }
}

impl Place {
    /// Kills everything in the namespaces.
    pub(super) fn clear(&self) {
        for name in self.namespaces.iter().flat_map(|prefix| named(prefix)) {
            empty(&name);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(prefix) = &self.namespaces {
            remove(prefix);
            // It may never have been made.
            drop(ip(&["link", "del", &self.bridge()]));
        }
    }
}

fn networks(prefix: &str, process: u32) -> impl Iterator<Item = String> {
    (0..NETWORKS).map(move |step| format!("{prefix}.{}", (process + step) % NETWORKS + 1))
}

/// All namespaces whose names begin so.
fn named(prefix: &str) -> Vec<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// Removes all namespaces whose names begin so, with everything in them.
fn remove(prefix: &str) {
    for name in named(prefix) {
        empty(&name);
        drop(ip(&["netns", "del", &name]));
    }
}

/// Kills everything in a namespace, and waits until it is gone.
fn empty(namespace: &str) {
    let mut backoff = Backoff::within(PATIENCE);
    loop {
        let all = in_namespace(namespace);
        for &pid in &all {
            // It may have ended just now.
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
        if all.is_empty() || !backoff.pause() {
            return;
        }
    }
}

/// The process that has made what has this name.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// Whether the process that has made what has this name lives no more.
pub(super) fn is_left_over(name: &str) -> bool {
    owner(name).is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists())
}

/// Removes what processes have left that live no more.
fn sweep() {
    for name in named(PREFIX) {
        if let Some(owner) = owner(&name).filter(|_| is_left_over(&name)) {
            remove(&name);
            drop(ip(&["link", "del", &format!("d{owner}n0b")]));
        }
    }
}

fn all_processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn in_namespace(name: &str) -> Vec<Pid> {
    let Ok(namespace) = fs::metadata(Path::new("/run/netns").join(name)) else { return Vec::new() };
    let is_there = |pid: &Pid| {
        let own = fs::metadata(format!("/proc/{}/ns/net", pid.as_raw_nonzero()));
        own.is_ok_and(|own| (own.dev(), own.ino()) == (namespace.dev(), namespace.ino()))
    };
    all_processes().filter(|pid| *pid != getpid() && is_there(pid)).collect()
}

/// These processes and all that descend from them.
fn descendants(roots: &[u32]) -> Vec<Pid> {
    let parent = |pid: Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // Behind the name, which is in parentheses and may hold anything, come the state and the parent.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let parents: Vec<_> = all_processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = roots.to_vec();
    let mut at = 0;
    while let Some(&next) = found.get(at) {
        let children = parents.iter().filter(|(_, parent)| *parent == next);
        found.extend(children.filter_map(|(pid, _)| u32::try_from(pid.as_raw_nonzero().get()).ok()));
        at += 1;
    }
    found.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}

/// Sends all of these a signal.
pub(super) fn signal_all(processes: &[Pid], signal: Signal) -> Result<()> {
    if processes.is_empty() {
        bail!("there is no process to send {signal:?}");
    }
    for &pid in processes {
        // It may have ended just now.
        kill_process(pid, signal).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_have_left_is_swept() {
        let mut child = Guarded::start(&mut Command::new("true"));
        child.wait();
        let dead = format!("{PREFIX}{}-0-db1", child.id());
        assert!(is_left_over(&dead));
        for name in
            [format!("{PREFIX}{}-0-db1", std::process::id()), format!("{PREFIX}x"), "dos-reach-1-0a".into()]
        {
            assert!(!is_left_over(&name), "{name}");
        }
    }

    #[test]
    fn all_that_descends_from_a_process_is_found() {
        let mut shell = Command::new("sh");
        let shell = Guarded::start(shell.args(["-c", "sleep 600 & sleep 600"]).stdin(Stdio::null()));
        crate::wait_until("both sleep", || descendants(&[shell.id()]).len() == 3);
        assert!(descendants(&[]).is_empty());
    }
}
