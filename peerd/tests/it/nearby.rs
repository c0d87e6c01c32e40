//! A directory that announces itself on the local network, and those who look for one there.
//!
//! Needs root and `ip` (Debian: iproute2), and `script` (util-linux) for the person; says clearly that it was skipped where it cannot run.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use dos_protocol::{Fingerprint, JoinLink};
use dos_testing::{has_program, skipped};

use crate::stage::{Peer, Stage};

/// Two machines on one network.
struct Network {
    directory: String,
    peer: String,
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip cannot be run: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {}", args.join(" "), told.trim())) }
}

impl Network {
    fn lay() -> Result<Self, String> {
        static LAID: AtomicU32 = AtomicU32::new(0);
        let number = LAID.fetch_add(1, Ordering::Relaxed);
        let name = |who| format!("dos-near-{}-{number}{who}", std::process::id());
        let network = Self { directory: name("d"), peer: name("p") };
        let Self { directory, peer } = &network;
        for namespace in [directory, peer] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        ip(&["-n", directory, "link", "add", "lan0", "type", "veth", "peer", "name", "lan1"])?;
        ip(&["-n", directory, "link", "set", "lan1", "netns", peer])?;
        for (namespace, line, address) in
            [(directory, "lan0", "10.77.0.1/24"), (peer, "lan1", "10.77.0.2/24")]
        {
            ip(&["-n", namespace, "addr", "add", address, "dev", line])?;
            ip(&["-n", namespace, "link", "set", line, "up"])?;
        }
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.directory, &self.peer] {
            // One that was not made cannot be removed.
            drop(ip(&["netns", "del", namespace]));
        }
    }
}

/// The stage, and a peer on the same network that has not signed up; nothing where that cannot be had.
fn scene(test: &str, more: &[&str]) -> Option<(Network, Stage, Peer)> {
    if !has_program("script") {
        skipped(test, "there is no script(1)");
        return None;
    }
    match Network::lay() {
        Ok(network) => {
            let stage = Stage::at("10.77.0.1", Some(&network.directory), more);
            let bob = stage.stranger_with("bob", Some(&network.peer), &["--listen", "10.77.0.2:0"]);
            Some((network, stage, bob))
        }
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

/// Where the command runs: on the peer's machine.
fn there(network: &Network, bob: &Peer, args: &[&str]) -> Vec<String> {
    let dosctl = crate::stage::program("dosctl");
    let words = ["ip", "netns", "exec", &network.peer, dosctl.to_str().unwrap(), "--socket"];
    let mut all: Vec<String> = words.iter().map(ToString::to_string).collect();
    all.push(bob.socket().display().to_string());
    all.extend(args.iter().map(ToString::to_string));
    all
}

/// The command as a script runs it: its exit code and what it says.
fn script(network: &Network, bob: &Peer, args: &[&str]) -> (Option<i32>, String) {
    let words = there(network, bob, args);
    let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The command at a terminal, where these lines are typed.
fn person(network: &Network, bob: &Peer, args: &[&str], typed: &[&str]) -> (Option<i32>, String) {
    let words: Vec<String> =
        there(network, bob, args).iter().map(|word| dos_host::shell::quoted(word)).collect();
    let mut command = Command::new("script");
    command.args(["-qec", &words.join(" "), "/dev/null"]).env("TERM", "dumb");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all((typed.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(input);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_directory_on_the_network_is_found_and_used_after_a_yes_alone() {
    let test = "a_directory_on_the_network_is_found_and_used_after_a_yes_alone";
    let Some((network, stage, bob)) = scene(test, &[]) else { return };
    let link: JoinLink = stage.link().parse().unwrap();
    let fingerprint = Fingerprint::of_directory(&link.key).to_string();
    let (code, told) = script(&network, &bob, &["up"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains(&link.clone().bare().to_string()) && told.contains(&fingerprint), "{told}");
    assert_eq!(bob.json(&["status"])["state"], "unregistered");
    for typed in [&["1", "n"][..], &["2"], &[""], &["1", ""]] {
        let (code, told) = person(&network, &bob, &["up"], typed);
        assert_eq!(code, Some(2), "{told}");
        assert_eq!(bob.json(&["status"])["state"], "unregistered", "{told}");
    }
    let invite = link.invite.clone().unwrap();
    let (code, told) = person(&network, &bob, &["up"], &["1", "y", "bob", &invite]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(&fingerprint) && told.contains("registered as"), "{told}");
    assert_eq!(bob.json(&["status"])["name"], "bob");
}

#[test]
fn a_directory_that_is_not_announced_is_not_found() {
    let test = "a_directory_that_is_not_announced_is_not_found";
    let Some((network, stage, bob)) = scene(test, &["--announce", "off"]) else { return };
    let (code, told) = script(&network, &bob, &["up"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("dosd link") && !told.contains(&stage.link()[..20]), "{told}");
}
