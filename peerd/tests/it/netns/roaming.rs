//! Addresses that change: how soon the directory knows of it.
//!
//! Every figure is measured several times and printed. The bounds are no promises: they lie between what the report of the kernel takes, about
//! a second, and what is left where that is lost, as each says.

use std::{
    io::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use dos_testing::{Guarded, skipped};

use super::{Lines, NOWHERE, ip};
use crate::stage::{Peer, Stage, wait_until};

/// Without reports of the kernel peerd looks every five seconds: after a change that was announced the next one waits for as long as that.
/// Where no look finds it, the session ends by its silence after 35 s.
const BEFORE_THE_NEXT_LOOK: Duration = Duration::from_secs(4);

/// A host that is without a network has attempts that are up to 30 s apart, at least 6.4 s from the eighth on.
const FAILURES: usize = 8;
const BEFORE_THE_NEXT_ATTEMPT: Duration = Duration::from_secs(5);

/// An attempt that nobody answers is given up after five seconds.
const BEFORE_IT_IS_GIVEN_UP: Duration = Duration::from_secs(3);

/// Changes in a row: more than one report brings, and as many as a network brings that begins (IPv4, then IPv6, then a VPN).
const CHANGES: u8 = 3;

/// Longer than a moment in which routes are only laid anew.
const AWAY: Duration = Duration::from_secs(4);

/// Prints what was measured, also where the test succeeds.
pub(super) fn figure(what: &str, times: &[Duration]) {
    let times: Vec<String> = times.iter().map(|time| format!("{} ms", time.as_millis())).collect();
    let line = format!("figure: {what}: {}\n", times.join(", "));
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Alice and her directory, and how often she has signed in anew.
struct Scene {
    stage: Stage,
    alice: Peer,
    lines: Lines,
}

impl Scene {
    fn set(test: &str) -> Option<Self> {
        let lines = Lines::lay().and_then(|lines| lines.lift().map(|()| lines));
        let lines = lines.inspect_err(|why| skipped(test, why)).ok()?;
        let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
        let alice = stage.peer_in("alice", Some(&lines.alice), &[]);
        Some(Self { stage, alice, lines })
    }

    fn ip(&self, args: &str) {
        let args: Vec<&str> = args.split(' ').collect();
        ip(&[&["-n", &self.lines.alice], &*args].concat()).unwrap();
    }

    /// What the directory tells others of her, besides where it sees her.
    fn told(&self) -> String {
        let show = self.stage.operate(&["show", "alice", "--json"]);
        let show: serde_json::Value = serde_json::from_slice(&show.stdout).unwrap();
        show["addresses"].to_string()
    }

    fn is_told(&self, ip: &str) -> bool {
        self.told().contains(&format!("\"{ip}:"))
    }

    /// From now until the directory tells others of an address, or does so no more.
    fn until_told(&self, ip: &str, is_there: bool) -> Duration {
        let changed = Instant::now();
        wait_until("the change is announced", || self.is_told(ip) == is_there);
        changed.elapsed()
    }

    fn is_online(&self) -> bool {
        self.alice.json(&["status"])["state"] == "online"
    }

    fn until_online(&self) -> Duration {
        let changed = Instant::now();
        wait_until("alice is online", || self.is_online());
        changed.elapsed()
    }

    /// How often her log says this.
    fn logged(&self, what: &str) -> usize {
        self.alice.log().matches(what).count()
    }
}

#[test]
fn addresses_that_come_and_go_one_after_the_other_are_announced_at_once() {
    let Some(scene) = Scene::set("addresses_that_come_and_go_one_after_the_other_are_announced_at_once")
    else {
        return;
    };
    let mut times = Vec::new();
    for last in 71..71 + CHANGES {
        scene.ip(&format!("addr add 192.0.2.{last}/24 dev ab0"));
        times.push(scene.until_told(&format!("192.0.2.{last}"), true));
    }
    figure("an address that came is announced after", &times);
    assert!(times.iter().all(|time| *time < BEFORE_THE_NEXT_LOOK), "{times:?}\n{}", scene.alice.log());
    // Others are at once no more; what is announced in the end is what is there.
    for last in 71..71 + CHANGES {
        scene.ip(&format!("addr del 192.0.2.{last}/24 dev ab0"));
    }
    wait_until("what is gone is announced no more", || !scene.told().contains("192.0.2.7"));
}

#[test]
fn a_host_that_is_elsewhere_has_a_new_session_at_once_in_the_place_of_the_old_one() {
    let test = "a_host_that_is_elsewhere_has_a_new_session_at_once_in_the_place_of_the_old_one";
    let Some(scene) = Scene::set(test) else { return };
    let mut times = Vec::new();
    for (from, to) in [("2", "9"), ("9", "17"), ("17", "33")] {
        scene.ip(&format!("addr del 198.51.100.{from}/24 dev da1"));
        scene.ip(&format!("addr add 198.51.100.{to}/24 dev da1"));
        scene.ip("route add 203.0.113.1/32 via 198.51.100.1");
        times.push(scene.until_told(&format!("198.51.100.{to}"), true));
        assert!(!scene.is_told(&format!("198.51.100.{from}")), "{}", scene.told());
    }
    figure("another address towards the directory has a new session after", &times);
    assert!(times.iter().all(|time| *time < BEFORE_THE_NEXT_LOOK), "{times:?}\n{}", scene.alice.log());
    let online = String::from_utf8(scene.stage.operate(&["peers", "--online"]).stdout).unwrap();
    assert_eq!(online.matches("alice").count(), 1, "{online}");
    assert_eq!(
        scene.logged("signing in anew"),
        3,
        "the silence of the old one has told: {}",
        scene.alice.log()
    );
}

#[test]
fn a_network_that_was_away_for_some_seconds_and_is_the_same_again_has_a_new_session() {
    let test = "a_network_that_was_away_for_some_seconds_and_is_the_same_again_has_a_new_session";
    let Some(scene) = Scene::set(test) else { return };
    let mut times = Vec::new();
    for round in 0..2 {
        scene.ip("link set da1 down");
        let down = Instant::now();
        wait_until("it was away for some seconds", || down.elapsed() > AWAY);
        scene.ip("link set da1 up");
        scene.ip("route add 203.0.113.1/32 via 198.51.100.1");
        let back = Instant::now();
        wait_until("there is a new session", || scene.logged("signing in anew") > round && scene.is_online());
        times.push(back.elapsed());
    }
    figure("a network that is back has a new session after", &times);
    assert!(times.iter().all(|time| *time < BEFORE_THE_NEXT_LOOK), "{times:?}\n{}", scene.alice.log());
}

#[test]
fn a_daemon_that_found_no_network_signs_in_as_soon_as_there_is_one() {
    let test = "a_daemon_that_found_no_network_signs_in_as_soon_as_there_is_one";
    let Some(mut scene) = Scene::set(test) else { return };
    let mut times = Vec::new();
    for _ in 0..2 {
        scene.alice.kill();
        scene.ip("link set da1 down");
        let before = scene.logged("cannot sign in");
        scene.alice.start();
        wait_until("it has tried for a while", || scene.logged("cannot sign in") >= before + FAILURES);
        scene.ip("link set da1 up");
        scene.ip("route add 203.0.113.1/32 via 198.51.100.1");
        times.push(scene.until_online());
    }
    figure("a network that comes has a session after", &times);
    assert!(times.iter().all(|time| *time < BEFORE_THE_NEXT_ATTEMPT), "{times:?}\n{}", scene.alice.log());
}

#[test]
fn an_attempt_that_began_in_another_network_is_begun_anew() {
    let test = "an_attempt_that_began_in_another_network_is_begun_anew";
    let Some(scene) = Scene::set(test) else { return };
    scene.alice.ctl(&["logout"]).ok();
    // What is sent to the router is lost: nothing answers, and nothing fails.
    scene.ip(&format!("neigh replace 198.51.100.1 lladdr {NOWHERE} dev da1"));
    let mut login = scene.alice.command(&["login"]);
    let mut login = Guarded::start(login.stdout(Stdio::null()));
    wait_until("an attempt is under way", || scene.alice.json(&["status"])["state"] == "connecting");
    scene.ip("neigh del 198.51.100.1 dev da1");
    scene.lines.move_alice().unwrap();
    let time = scene.until_online();
    figure("an attempt that began in another network leads to a session after", &[time]);
    assert!(time < BEFORE_IT_IS_GIVEN_UP, "{time:?}\n{}", scene.alice.log());
    assert!(login.wait().success());
}
