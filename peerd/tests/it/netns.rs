//! Two peers that can reach the directory but not each other, in network namespaces of their own.
//!
//! ```text
//!   alice 198.51.100.2 ---- 198.51.100.1 \
//!     |                                    directory 203.0.113.1
//!     |     bob 198.51.101.2 ---- 198.51.101.1 /
//!     +-- 192.0.2.1 ---- 192.0.2.2 bob: the line that is blocked and lifted
//! ```
//!
//! Needs root and `ip` (Debian: iproute2); says clearly that it was skipped where it cannot run.

mod announced;
mod far;
mod mapping;
mod named;
mod nat;
mod roaming;
mod ways;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use dos_testing::{Guarded, skipped};

use crate::{
    pictures,
    reach::{arriving, give},
    stage::{Stage, wait_until},
};

/// Every namespace of these tests begins so, and goes on with the ID of the process that made it.
const PREFIX: &str = "dos-reach-";

/// A hardware address that nobody has: what is sent there is lost without a word.
const NOWHERE: &str = "02:00:00:00:00:99";

/// Network namespaces of this run; they go with it.
pub(crate) struct Namespaces(Vec<String>);

impl Namespaces {
    /// Makes one for each of these, with its loopback up.
    fn make(of: &[&str]) -> Result<Self, String> {
        sweep();
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |who: &&str| format!("{PREFIX}{}-{number}{who}", std::process::id());
        let made = Self(of.iter().map(name).collect());
        for namespace in made.names() {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(made)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in self.names() {
            // One that was never made cannot be removed.
            drop(ip(&["netns", "del", namespace]));
        }
    }
}

/// The namespaces of two peers and their directory.
pub(crate) struct Lines {
    pub(crate) directory: String,
    pub(crate) alice: String,
    pub(crate) bob: String,
    _spaces: Namespaces,
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip cannot be run: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", args.join(" "), told.trim())) }
}

/// Runs `nft` in a namespace.
fn nft(namespace: &str, rules: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "nft", "-f", "-"]).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    child.stdin.take().map(|mut input| input.write_all(rules.as_bytes()));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("nft: {}", told.trim())) }
}

impl Lines {
    /// Lays them, or tells why that is not possible here.
    pub(crate) fn lay() -> Result<Self, String> {
        let spaces = Namespaces::make(&["d", "a", "b"])?;
        let name = |which| spaces.names().nth(which).unwrap_or_default().to_owned();
        let lines = Self { directory: name(0), alice: name(1), bob: name(2), _spaces: spaces };
        let Self { directory, alice, bob, .. } = &lines;
        ip(&["-n", directory, "addr", "add", "203.0.113.1/32", "dev", "lo"])?;
        lay_line((directory, "198.51.100.1/24"), (alice, "198.51.100.2/24"), "da")?;
        lay_line((directory, "198.51.101.1/24"), (bob, "198.51.101.2/24"), "db")?;
        lay_line((alice, "192.0.2.1/24"), (bob, "192.0.2.2/24"), "ab")?;
        ip(&["-n", alice, "route", "add", "203.0.113.1/32", "via", "198.51.100.1"])?;
        ip(&["-n", bob, "route", "add", "203.0.113.1/32", "via", "198.51.101.1"])?;
        lines.block()?;
        Ok(lines)
    }

    /// From now on nothing gets from Bob to Alice.
    fn block(&self) -> Result<(), String> {
        ip(&["-n", &self.bob, "neigh", "replace", "192.0.2.1", "lladdr", NOWHERE, "dev", "ab1"])
    }

    /// Alice's host comes to another address of its network, as with another lease.
    fn move_alice(&self) -> Result<(), String> {
        ip(&["-n", &self.alice, "addr", "del", "198.51.100.2/24", "dev", "da1"])?;
        ip(&["-n", &self.alice, "addr", "add", "198.51.100.9/24", "dev", "da1"])?;
        ip(&["-n", &self.alice, "route", "add", "203.0.113.1/32", "via", "198.51.100.1"])
    }

    fn lift(&self) -> Result<(), String> {
        ip(&["-n", &self.bob, "neigh", "del", "192.0.2.1", "dev", "ab1"])
    }
}

/// A line between two namespaces; its ends are called `line0` and `line1`.
fn lay_line(near: (&str, &str), far: (&str, &str), line: &str) -> Result<(), String> {
    let ends = [format!("{line}0"), format!("{line}1")];
    let [first, second] = ends.each_ref().map(String::as_str);
    let pair = ["type", "veth", "peer", "name", second, "netns", far.0];
    ip(&[["-n", near.0, "link", "add", first].as_slice(), &pair].concat())?;
    for ((namespace, address), end) in [(near, first), (far, second)] {
        ip(&["-n", namespace, "addr", "add", address, "dev", end])?;
        ip(&["-n", namespace, "link", "set", end, "up"])?;
    }
    Ok(())
}

/// Removes what a run that was killed has left.
fn sweep() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            drop(ip(&["netns", "del", &name]));
        }
    }
}

#[test]
fn peers_that_cannot_reach_each_other_go_through_the_relay_and_directly_once_they_can() {
    // The namespaces go last.
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => {
            let name = "peers_that_cannot_reach_each_other_go_through_the_relay_and_directly_once_they_can";
            return skipped(name, &why);
        }
    };
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let manual = ["--auto-fetch", "false"];
    let mut alice = stage.peer_in("alice", Some(&lines.alice), &manual);
    let mut bob = stage.peer_in("bob", Some(&lines.bob), &manual);
    for (seed, name) in [(1, "sea"), (2, "hill")] {
        pictures::write(&alice.dir.join(name), seed);
        give(&alice, &bob, name, &alice.dir.join(name));
    }
    pictures::write_large(&alice.dir.join("large"), 3, 250_000_000);
    give(&alice, &bob, "large", &alice.dir.join("large"));

    let relayed = bob.json(&["fetch", "alice/sea"]);
    assert_eq!((&relayed["way"], &relayed["address"]), (&"relayed".into(), &serde_json::Value::Null));
    assert!(bob.ctl(&["ping", "alice"]).ok().contains("(relayed)"));

    lines.lift().unwrap();
    // The connection through the relay is kept for a while.
    bob.restart();
    bob.online();
    let direct = bob.json(&["fetch", "alice/hill"]);
    assert_eq!(direct["way"], "direct", "{direct}");
    assert!(direct["address"].as_str().unwrap().starts_with("192.0.2.1:"), "{direct}");

    // A transfer that breaks directly goes on through the relay.
    let mut fetching = Guarded::start(bob.command(&["fetch", "alice/large"]).stderr(Stdio::null()));
    wait_until("some of it is here", || arriving(&bob) > 2 << 20);
    alice.kill();
    lines.block().unwrap();
    assert!(!fetching.wait().success(), "a transfer from nobody");
    assert!(arriving(&bob) > 0, "what had arrived is kept");
    alice.start();
    alice.online();
    assert_eq!(bob.json(&["fetch", "alice/large"])["way"], "relayed");
    let log = alice.log();
    let (_, from) = log.rsplit_once("from_byte=").unwrap();
    assert!(!from.starts_with('0'), "it began anew: {from}");
}

#[test]
fn a_host_whose_address_changes_signs_in_anew_and_is_found_there() {
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => return skipped("a_host_whose_address_changes_signs_in_anew_and_is_found_there", &why),
    };
    lines.lift().unwrap();
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let alice = stage.peer_in("alice", Some(&lines.alice), &[]);
    let bob = stage.peer_in("bob", Some(&lines.bob), &[]);
    let seen = || bob.json(&["resolve", "alice"])["address"].as_str().map(ToOwned::to_owned);
    let is_at = |ip: &str| seen().is_some_and(|address| address.starts_with(ip));
    assert!(is_at("198.51.100.2:"), "{:?}", seen());
    lines.move_alice().unwrap();
    wait_until("alice is seen at her new address", || is_at("198.51.100.9:"));
    // Her old connection says nothing: it is not its silence that has told.
    assert!(alice.log().contains("signing in anew"), "{}", alice.log());
    let show: serde_json::Value =
        serde_json::from_slice(&stage.operate(&["show", "alice", "--json"]).stdout).unwrap();
    let announced = show["addresses"].to_string();
    assert!(announced.contains("198.51.100.9") && !announced.contains("198.51.100.2"), "{announced}");
}
