//! Ways that connect and then bring nothing, and better ones that come while a transfer runs.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use dos_testing::skipped;

use super::{Lines, ip, nft};
use crate::{
    pictures,
    reach::{arriving, give},
    stage::{Peer, Stage, wait_until},
};

/// What a way that brings nothing may cost: it is noticed after four seconds, and others take as long as they do.
const LEFT_WITHIN: Duration = Duration::from_secs(7);

/// On the line between the two, what is larger than this is lost; a handshake is smaller.
const SMALL_BYTES: u32 = 1000;

/// The line loses large packets from now on, as does a tunnel whose router does not tell.
fn lose_large(lines: &Lines) {
    let rules = format!(
        "table inet hole {{
            chain lost {{
                type filter hook prerouting priority -300;
                iifname ab1 meta length > {SMALL_BYTES} drop
            }}
        }}"
    );
    nft(&lines.bob, &rules).unwrap();
}

/// The bytes of the calls that the directory has relayed.
fn relayed(stage: &Stage) -> u64 {
    let log = std::fs::read_to_string(stage.path("dosd.log")).unwrap_or_default();
    let calls = log.lines().filter(|line| line.contains("a relayed call ended"));
    let bytes =
        calls.filter_map(|line| line.split("bytes=").nth(1)?.split_whitespace().next()?.parse::<u64>().ok());
    bytes.sum()
}

/// From which bytes on a peer has served.
fn served_from(owner: &Peer) -> Vec<u64> {
    let log = owner.log();
    let from = log.split("from_byte=").skip(1);
    from.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

/// What `ping --explain` remembers of the address on the line between the two.
fn bad(bob: &Peer) -> serde_json::Value {
    let told = bob.json(&["ping", "alice", "--explain"]);
    let tried = told["tried"].as_array().unwrap().iter();
    let mut there =
        tried.filter(|one| one["address"].as_str().is_some_and(|at| at.starts_with("192.0.2.1:")));
    there.next().map(|one| one["bad"].clone()).unwrap_or_default()
}

#[test]
fn a_path_that_loses_large_packets_is_left_and_left_out_and_a_view_is_spent_once() {
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => {
            return skipped(
                "a_path_that_loses_large_packets_is_left_and_left_out_and_a_view_is_spent_once",
                &why,
            );
        }
    };
    lines.lift().unwrap();
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let manual = ["--auto-fetch", "false"];
    let alice = stage.peer_in("alice", Some(&lines.alice), &manual);
    let bob = stage.peer_in("bob", Some(&lines.bob), &manual);
    for (seed, name) in [(1, "sea"), (2, "hill")] {
        pictures::write_large(&alice.dir.join(name), seed, 3_000_000);
        give(&alice, &bob, name, &alice.dir.join(name));
    }
    lose_large(&lines);
    assert_eq!(bob.json(&["ping", "alice"])["way"], "direct", "small packets get through");
    let original = std::fs::read(alice.dir.join("sea")).unwrap();
    let begun = Instant::now();
    assert!(bob.view("alice/sea") == original, "not the picture");
    assert!(begun.elapsed() < LEFT_WITHIN, "{:?}\n{}", begun.elapsed(), bob.log());
    let (left, used, _) = bob.right("/sea").unwrap();
    assert_eq!((left, used), (8.into(), 1));
    // It is remembered, and told.
    let bad_now = bad(&bob);
    assert!(bad_now["why"].as_str().is_some_and(|why| why.contains("brought nothing")), "{bad_now}");
    assert!(bad_now["left_s"].as_u64().is_some_and(|left| (200..=300).contains(&left)), "{bad_now}");
    let begun = Instant::now();
    let fetched = bob.json(&["fetch", "alice/hill"]);
    assert_eq!(fetched["way"], "relayed", "{fetched}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // In another network it may lead there again.
    ip(&["netns", "exec", &lines.bob, "nft", "delete", "table", "inet", "hole"]).unwrap();
    ip(&["-n", &lines.bob, "addr", "add", "198.51.101.77/24", "dev", "db1"]).unwrap();
    assert_eq!(bad(&bob), serde_json::Value::Null);
    assert_eq!(bob.json(&["ping", "alice"])["way"], "direct");
}

#[test]
fn a_transfer_that_comes_to_a_stand_goes_on_through_the_relay_where_it_was() {
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => {
            return skipped("a_transfer_that_comes_to_a_stand_goes_on_through_the_relay_where_it_was", &why);
        }
    };
    lines.lift().unwrap();
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &[]);
    let mut alice = stage.peer_in("alice", Some(&lines.alice), &["--upload-rate", "8000000"]);
    let bob = stage.peer_in("bob", Some(&lines.bob), &["--auto-fetch", "false"]);
    pictures::write_large(&alice.dir.join("large"), 3, 60_000_000);
    give(&alice, &bob, "large", &alice.dir.join("large"));
    let fetching = bob.command(&["--json", "fetch", "alice/large"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("some of it is here", || arriving(&bob) > 8 << 20);
    lines.block().unwrap();
    let (blocked, here) = (Instant::now(), arriving(&bob));
    wait_until("it goes on", || arriving(&bob) > here + (2 << 20) || arriving(&bob) == 0);
    assert!(blocked.elapsed() < LEFT_WITHIN, "{:?}\n{}", blocked.elapsed(), bob.log());
    let output = fetching.wait_with_output().unwrap();
    let fetched: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(fetched["way"], "relayed", "{fetched}");
    let from = served_from(&alice);
    assert!(from.iter().any(|from| *from >= here), "from {here}: {from:?}");
    // Nothing comes on any way from an owner that is stopped, and none is held against it.
    alice.kill();
}

#[test]
fn a_relayed_transfer_goes_on_directly_as_soon_as_it_can_and_nothing_is_fetched_twice() {
    let lines = match Lines::lay() {
        Ok(lines) => lines,
        Err(why) => {
            return skipped(
                "a_relayed_transfer_goes_on_directly_as_soon_as_it_can_and_nothing_is_fetched_twice",
                &why,
            );
        }
    };
    let stage = Stage::at("203.0.113.1", Some(&lines.directory), &["--relay-bytes-per-second", "4000000"]);
    let manual = ["--auto-fetch", "false"];
    let alice = stage.peer_in("alice", Some(&lines.alice), &manual);
    let bob = stage.peer_in("bob", Some(&lines.bob), &manual);
    let total: u64 = 120_000_000;
    pictures::write_large(&alice.dir.join("large"), 3, usize::try_from(total).unwrap());
    give(&alice, &bob, "large", &alice.dir.join("large"));
    let begun = Instant::now();
    let fetching = bob.command(&["--json", "fetch", "alice/large"]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("some of it is here", || arriving(&bob) > 4 << 20);
    assert!(bob.ctl(&["ping", "alice"]).ok().contains("(relayed)"));
    lines.lift().unwrap();
    let output = fetching.wait_with_output().unwrap();
    let fetched: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(fetched["way"], "direct", "{fetched}\n{}", bob.log());
    assert!(begun.elapsed() < Duration::from_secs(24), "as fast as the relay: {:?}", begun.elapsed());
    let from = served_from(&alice).into_iter().max().unwrap();
    wait_until("the relayed call is over", || relayed(&stage) > 0);
    let twice = relayed(&stage).saturating_sub(from);
    assert!(from > 4 << 20 && twice < 16 << 20, "went on at {from}, relayed {}", relayed(&stage));
}
