//! Which way a peer is reached: at its addresses, whichever of them works, or through the directory.

use std::{fs, net::TcpListener, path::Path, process::Stdio};

use dos_testing::{Guarded, Signal};

use crate::{
    pictures,
    stage::{Peer, Process, Stage, wait_until},
};

/// Bytes of copies that are arriving at a peer.
pub(crate) fn arriving(peer: &Peer) -> u64 {
    let dir = peer.dir.join("state/partial");
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// `owner` adds an image and gives `viewer` a right to it.
pub(crate) fn give(owner: &Peer, viewer: &Peer, name: &str, file: &Path) {
    owner.ctl(&["add", file.to_str().unwrap(), "--name", name]).ok();
    owner.ctl(&["share", name, &viewer.name, "--views", "9"]).ok();
    wait_until("the viewer is told", || viewer.right(&format!("/{name}")).is_some());
}

#[test]
fn an_owner_that_cannot_be_reached_is_reached_through_the_directory() {
    let stage = Stage::new();
    let hidden = ["--listen", "127.0.0.1:0", "--reachable", "false"];
    let manual = ["--listen", "127.0.0.1:0", "--auto-fetch", "false"];
    let (alice, bob) = (stage.peer_in("alice", None, &hidden), stage.peer_in("bob", None, &manual));
    assert_eq!(alice.json(&["status"])["address"], serde_json::Value::Null);
    assert_eq!(bob.json(&["resolve", "alice"])["address"], serde_json::Value::Null);
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    give(&alice, &bob, "sea", &alice.dir.join("sea.jpg"));
    let fetched = bob.json(&["fetch", "alice/sea"]);
    assert_eq!((&fetched["way"], &fetched["address"]), (&"relayed".into(), &serde_json::Value::Null));
    assert_eq!(bob.view("alice/sea"), original);
    let again = bob.json(&["fetch", "alice/sea"]);
    assert_eq!(again["way"], serde_json::Value::Null, "it is here already");
    // The next one finds the connection open.
    let calls = || fs::read_to_string(stage.path("dosd.log")).unwrap().matches("relaying a call").count();
    assert_eq!(calls(), 1);
    pictures::write(&alice.dir.join("sky.jpg"), 2);
    give(&alice, &bob, "sky", &alice.dir.join("sky.jpg"));
    assert_eq!(bob.json(&["fetch", "alice/sky"])["way"], "relayed");
    assert_eq!(calls(), 1, "another call was made");
    let pong = bob.json(&["ping", "alice"]);
    assert_eq!((&pong["way"], &pong["name"]), (&"relayed".into(), &"alice".into()));
    assert!(pong["round_trip_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{pong}");
    // The other way round nothing is in the way.
    let pong = alice.json(&["ping", "bob"]);
    assert_eq!((&pong["way"], &pong["address"]), (&"direct".into(), &bob.json(&["status"])["address"]));
}

fn dosd(stage: &Stage) -> &Process {
    stage.dosd.as_ref().unwrap()
}

#[test]
fn an_owner_is_called_where_it_was_while_the_directory_is_asked_where_it_is() {
    let stage = Stage::new();
    let manual = ["--listen", "127.0.0.1:0", "--auto-fetch", "false"];
    let (mut alice, bob) = (stage.peer("alice"), stage.peer_in("bob", None, &manual));
    bob.ctl(&["send", "alice", "may I see the sea?"]).ok();
    for (number, name) in [(1, "sea"), (2, "sky")] {
        let file = alice.dir.join(format!("{name}.jpg"));
        pictures::write(&file, number);
        give(&alice, &bob, name, &file);
    }
    // It says nothing: what is known of her is enough to find her, and whatever answers there holds her key.
    dosd(&stage).stop();
    let fetched = bob.json(&["fetch", "alice/sea"]);
    dosd(&stage).send(Signal::CONT);
    assert_eq!(fetched["way"], "direct", "{fetched}");
    // She is elsewhere now, and what is known of her leads to somebody who says nothing.
    let was = alice.json(&["status"])["address"].as_str().unwrap().to_owned();
    alice.kill();
    let _silent = TcpListener::bind(&was).unwrap();
    alice.start();
    alice.online();
    assert_ne!(alice.json(&["status"])["address"], *was);
    let fetched = bob.json(&["fetch", "alice/sky"]);
    assert_eq!(fetched["address"], alice.json(&["status"])["address"], "{fetched}");
}

#[test]
fn owners_of_what_is_not_here_are_looked_up_before_somebody_wants_to_see_it() {
    let stage = Stage::new();
    let manual = ["--listen", "127.0.0.1:0", "--auto-fetch", "false", "--log", "peerd=debug"];
    let (alice, mut bob) = (stage.peer("alice"), stage.peer_in("bob", None, &manual));
    bob.ctl(&["send", "alice", "may I see the sea?"]).ok();
    let file = alice.dir.join("sea.jpg");
    pictures::write(&file, 1);
    give(&alice, &bob, "sea", &file);
    bob.restart();
    bob.online();
    wait_until("he has asked where she is", || bob.log().contains("an owner was looked up"));
    dosd(&stage).stop();
    let fetched = bob.json(&["fetch", "alice/sea"]);
    dosd(&stage).send(Signal::CONT);
    assert_eq!(fetched["way"], "direct", "{fetched}");
}

#[test]
fn without_a_relay_an_owner_that_cannot_be_reached_is_out_of_reach() {
    let stage = Stage::with(&["--relay", "off"]);
    let hidden = ["--listen", "127.0.0.1:0", "--reachable", "false"];
    let (_alice, bob) = (stage.peer_in("alice", None, &hidden), stage.peer("bob"));
    let error = bob.error(4, &["ping", "alice"]);
    assert_eq!(error["error"]["cause"], "the directory does not relay", "{error}");
}

#[test]
fn every_way_is_tried_to_its_end_and_what_would_help_is_told() {
    let stage = Stage::new();
    let hidden = ["--listen", "127.0.0.1:0", "--reachable", "false"];
    let (mut alice, bob) = (stage.peer_in("alice", None, &hidden), stage.peer("bob"));
    let outcomes = |told: &serde_json::Value| {
        let tried = told["tried"].as_array().unwrap().iter();
        tried.map(|one| (one["means"].clone(), one["error"].is_null())).collect::<Vec<_>>()
    };
    // She takes no connections: the relay alone leads to her.
    let told = bob.json(&["ping", "alice", "--explain"]);
    assert_eq!(outcomes(&told), [("rendezvous".into(), false), ("relay".into(), true)], "{told}");
    assert_eq!(told["advice"], serde_json::json!(["update_peer", "forward_either"]));
    assert!(told["round_trip_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{told}");
    // The other way round everything does, but a rendezvous, in which she takes no part.
    let told = alice.json(&["ping", "bob", "--explain"]);
    let all = [("address".into(), true), ("rendezvous".into(), false), ("relay".into(), true)];
    assert_eq!((outcomes(&told), &told["advice"]), (all.to_vec(), &serde_json::json!(["nothing"])), "{told}");
    let here = alice.json(&["netcheck"]);
    assert_eq!((&here["seen"], &here["nat"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(here["advice"], serde_json::json!(["allow_connections"]));
    let here = bob.json(&["netcheck"]);
    assert_eq!(
        (&here["seen"], &here["local"], &here["nat"]),
        (&here["listen"], &here["listen"], &"none".into())
    );
    assert_eq!((&here["advice"], here["round_trip_ms"].is_f64()), (&serde_json::json!(["nothing"]), true));
    alice.kill();
    wait_until("bob sees that she is gone", || bob.json(&["resolve", "alice"])["online"] == false);
    let told = bob.json(&["ping", "alice", "--explain"]);
    assert_eq!((&told["online"], &told["advice"]), (&false.into(), &serde_json::json!(["wait_for_peer"])));
    assert!(bob.ctl(&["netcheck"]).ok().contains("router     none"));
    assert!(bob.ctl(&["ping", "alice", "--explain"]).ok().contains("alice is offline"));
    bob.ctl(&["logout"]).ok();
    assert_eq!(bob.json(&["netcheck"])["advice"], serde_json::json!(["go_online"]));
}

#[test]
fn who_is_offline_unknown_or_oneself_is_not_pinged() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.ctl(&["ping", "carol"]).fails(5);
    bob.ctl(&["ping", "bob"]).fails(8);
    alice.ctl(&["logout"]).ok();
    assert!(bob.ctl(&["ping", "alice"]).fails(4).contains("is offline"));
}

#[test]
fn an_address_at_which_somebody_else_or_nobody_answers_does_not_win() {
    // Else it would, while nobody answers at the first address; and so would a rendezvous, in which he takes no part.
    let stage = Stage::with(&["--relay", "off"]);
    let hidden = ["--listen", "127.0.0.1:0", "--reachable", "false"];
    let (carol, bob) = (stage.peer("carol"), stage.peer_in("bob", None, &hidden));
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let foreign = carol.json(&["status"])["address"].as_str().unwrap().to_owned();
    let silent = (silent.local_addr().unwrap().to_string(), silent);
    // The directory sees 127.0.0.1, where this port is closed.
    let advertised = ["--listen", "127.0.0.2:0", "--advertise", &silent.0, "--advertise", &foreign];
    let alice = stage.peer_in("alice", None, &advertised);
    let pong = bob.json(&["ping", "alice"]);
    let own = alice.json(&["status"])["listen"].clone();
    assert_eq!((&pong["way"], &pong["address"]), (&"direct".into(), &own), "{pong}");
}

#[test]
fn a_transfer_that_broke_through_the_relay_goes_on_directly_where_it_broke() {
    // Slow enough to be caught in the middle.
    let stage = Stage::with(&["--relay-bytes-per-second", "4000000"]);
    let mut alice = stage.peer_in("alice", None, &["--listen", "127.0.0.1:0", "--reachable", "false"]);
    let bob = stage.peer_in("bob", None, &["--listen", "127.0.0.1:0", "--auto-fetch", "false"]);
    pictures::write_large(&alice.dir.join("sea.jpg"), 1, 40_000_000);
    give(&alice, &bob, "sea", &alice.dir.join("sea.jpg"));
    let mut fetching = Guarded::start(bob.command(&["fetch", "alice/sea"]).stderr(Stdio::null()));
    wait_until("some of it is here", || arriving(&bob) > 2 << 20);
    alice.kill();
    assert!(!fetching.wait().success(), "a transfer from nobody");
    let here = arriving(&bob);
    assert!(here > 0, "what had arrived is kept");
    alice.extra.truncate(2);
    alice.start();
    alice.online();
    assert_eq!(bob.json(&["fetch", "alice/sea"])["way"], "direct");
    assert_eq!(arriving(&bob), 0);
    let from = alice.log().rsplit_once("from_byte=").map(|(_, rest)| rest.to_owned()).unwrap();
    let from: u64 = from.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!(from >= 2 << 20, "it began anew: from byte {from}");
}
