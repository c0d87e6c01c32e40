//! A directory's name that stands for several addresses, of which one leads there.
//!
//! ```text
//!   203.0.113.7, .8   nobody: what is sent there is lost without a word
//!   203.0.113.2       another directory, with a key of its own
//!   203.0.113.3       takes connections and says nothing
//!   203.0.113.4       speaks HTTP
//!   203.0.113.1       the directory
//! ```

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use dos_testing::{skipped, within};

use super::{Lines, ip, roaming::figure};
use crate::stage::{Stage, wait_until};

const NAME: &str = "directory.example";

/// In the order in which they are tried: that in which they stand in the file (RFC 6724, rule 10), since no rule prefers one.
const ADDRESSES: [&str; 6] =
    ["203.0.113.7", "203.0.113.8", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.1"];

/// Each but the first begins 250 ms after the one before, at most: 1.25 s. One address after the other would take five seconds for each of those
/// that nobody answers, and ten for the one that says nothing; an attempt that is put off because another server has answered comes
/// after 15 s at the earliest.
const BEFORE_ONE_IS_GIVEN_UP: Duration = Duration::from_secs(4);

/// What names stand for in a namespace; `ip netns exec` puts it in the place of `/etc/hosts`.
struct Hosts(PathBuf);

impl Hosts {
    fn write(namespace: &str) -> std::io::Result<Self> {
        let hosts = Self(PathBuf::from("/etc/netns").join(namespace));
        fs::create_dir_all(&hosts.0)?;
        let lines: String = ADDRESSES.iter().map(|address| format!("{address} {NAME}\n")).collect();
        fs::write(hosts.0.join("hosts"), lines)?;
        Ok(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
        // If it was made for this.
        drop(fs::remove_dir("/etc/netns"));
    }
}

/// Takes connections in a namespace, and says this on each.
fn serve(namespace: &str, at: SocketAddr, greeting: &'static [u8]) {
    let listener = within(namespace, || TcpListener::bind(at)).unwrap();
    thread::spawn(move || {
        let mut taken = Vec::new();
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            drop(socket.write_all(greeting));
            taken.push(socket);
        }
    });
}

#[test]
fn of_the_addresses_of_a_name_the_first_that_proves_its_key_is_taken_again_and_again() {
    let test = "of_the_addresses_of_a_name_the_first_that_proves_its_key_is_taken_again_and_again";
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => return skipped(test, &why),
    };
    let _hosts = match Hosts::write(&lines.alice) {
        Ok(hosts) => hosts,
        Err(why) => return skipped(test, &why.to_string()),
    };
    for address in ["203.0.113.2/32", "203.0.113.3/32", "203.0.113.4/32"] {
        ip(&["-n", &lines.directory, "addr", "add", address, "dev", "lo"]).unwrap();
    }
    ip(&["-n", &lines.alice, "route", "add", "203.0.113.0/24", "via", "198.51.100.1"]).unwrap();
    let known = Command::new("ip").args(["netns", "exec", &lines.alice, "getent", "ahosts", NAME]).output();
    let known = String::from_utf8(known.unwrap().stdout).unwrap();
    let order: Vec<&str> = known.lines().filter(|line| line.contains("STREAM")).collect();
    assert!(order.len() == ADDRESSES.len() && order.last().unwrap().starts_with("203.0.113.1 "), "{known}");

    let mut stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let _other = stage.another_directory("203.0.113.2");
    let port = stage.port();
    serve(&lines.directory, format!("203.0.113.3:{port}").parse().unwrap(), b"");
    serve(
        &lines.directory,
        format!("203.0.113.4:{port}").parse().unwrap(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    );
    let mut alice = stage.stranger_with("alice", Some(&lines.alice), &["--log", "peerd=debug"]);
    let link = stage.link().replace("@203.0.113.1:", &format!("@{NAME}:"));
    assert!(link.contains(NAME), "{link}");
    let mut times = Vec::new();
    let begun = Instant::now();
    alice.ctl(&["register", "--server", &link, "--name", "alice"]).ok();
    times.push(begun.elapsed());
    let is_online = |stage: &Stage| {
        let online = stage.operate(&["peers", "--online"]);
        String::from_utf8_lossy(&online.stdout).contains("alice")
    };
    // The daemon starts anew, and knows nothing of what led there.
    alice.restart();
    let begun = Instant::now();
    wait_until("alice is back", || is_online(&stage));
    times.push(begun.elapsed());
    figure("of six addresses of a name the last one is found after", &times);
    assert!(times.iter().all(|time| *time < BEFORE_ONE_IS_GIVEN_UP), "{times:?}\n{}", alice.log());

    // The directory starts anew. While it is away, those that answer are other servers.
    let mut again = Vec::new();
    for _ in 0..3 {
        stage.kill_dosd();
        wait_until("alice has tried in vain", || alice.json(&["status"])["state"] == "connecting");
        let failed = alice.log().matches("cannot sign in").count();
        wait_until("alice has tried in vain", || alice.log().matches("cannot sign in").count() > failed);
        stage.start_dosd();
        let begun = Instant::now();
        wait_until("alice is back", || is_online(&stage));
        again.push(begun.elapsed());
    }
    figure("after the directory has started anew there is a session after", &again);
    assert!(again.iter().all(|time| *time < BEFORE_ONE_IS_GIVEN_UP), "{again:?}\n{}", alice.log());
}
