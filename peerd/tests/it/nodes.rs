//! Peers of a directory of several nodes: a node goes under them, and nothing else does.

use dos_testing::{Postgres, Signal};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// A directory of one node, to which others may come.
fn cluster(server: &Postgres) -> Stage {
    Stage::with(&["--store", &server.database(), "--cluster", "127.0.0.1:0"])
}

/// What a peer has written down of the addresses of its directory.
fn known_to(peer: &Peer) -> String {
    let identity = std::fs::read_to_string(peer.dir.join("state/identity.toml")).unwrap();
    identity.lines().find(|line| line.starts_with("server")).unwrap().to_owned()
}

/// Whether a peer knows the addresses of all nodes.
fn knows_all(stage: &Stage, peer: &Peer) -> bool {
    let nodes: serde_json::Value =
        serde_json::from_slice(&stage.operate(&["nodes", "--json"]).stdout).unwrap();
    let known = known_to(peer);
    nodes["nodes"].as_array().unwrap().iter().all(|node| known.contains(node["address"].as_str().unwrap()))
}

#[test]
fn a_node_is_killed_under_two_peers_and_every_view_counts_once() {
    let Some(server) = Postgres::shared("a_node_is_killed_under_two_peers_and_every_view_counts_once") else {
        return;
    };
    let mut stage = cluster(&server);
    let alice = stage.peer("alice");
    let mut second = stage.start_node("second");
    // The link has both addresses; Bob is given the second one alone.
    let link = stage.link();
    let (key, addresses) = link.split_once('@').unwrap();
    let (addresses, invite) = addresses.split_once('?').unwrap();
    assert_eq!(addresses.split(',').count(), 2, "{link}");
    let bob = stage.peer_at("bob", &format!("{key}@{}?{invite}", addresses.split(',').nth(1).unwrap()));
    assert_eq!(known_to(&bob).matches(':').count(), 3, "he knows both: {}", known_to(&bob));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "20"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    let mut shown = 1;
    for round in 0..3 {
        second.kill();
        let session = bob.json(&["status"])["state"].clone();
        assert!(session == "online" || session == "connecting", "{session}");
        // What is asked for now waits for another node.
        assert_eq!(bob.view("alice/sea"), original, "round {round}");
        shown += 1;
        bob.ctl(&["send", "alice", "still here"]).ok();
        second = stage.start_node(&format!("again-{round}"));
        // He is told of it a moment after the nodes know of each other.
        wait_until("bob knows the new node", || knows_all(&stage, &bob));
        // The node that has him now is stopped, so that he goes to the new one.
        stage.dosd.take().unwrap().signal(Signal::TERM);
        assert_eq!(bob.view("alice/sea"), original, "round {round}");
        shown += 1;
        stage.start_dosd();
        alice.online();
    }
    wait_until("the receipts have come", || alice.given("/sea").is_some_and(|given| given.1 == shown));
    assert_eq!(bob.right("/sea").unwrap().0, 20 - shown);
    stage.is_sound();
}

/// It takes what is sent, and says nothing.
#[test]
fn a_node_that_is_stopped_is_left_by_a_peer_that_waits_for_its_answer() {
    let Some(server) = Postgres::shared("a_node_that_is_stopped_is_left_by_a_peer_that_waits_for_its_answer")
    else {
        return;
    };
    let stage = cluster(&server);
    let alice = stage.peer("alice");
    let second = stage.start_node("second");
    let link = stage.link();
    let (key, addresses) = link.split_once('@').unwrap();
    let (addresses, invite) = addresses.split_once('?').unwrap();
    let bob = stage.peer_at("bob", &format!("{key}@{}?{invite}", addresses.split(',').nth(1).unwrap()));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    second.stop();
    // Not refused after half a minute, but asked again elsewhere, and counted once.
    assert_eq!(bob.view("alice/sea"), original);
    assert_eq!(bob.right("/sea").unwrap().0, 0);
    second.send(Signal::CONT);
    stage.is_sound();
}

#[test]
fn a_call_through_the_relay_finds_the_callers_node() {
    let Some(server) = Postgres::shared("a_call_through_the_relay_finds_the_callers_node") else { return };
    let stage = cluster(&server);
    // Nobody can connect to her.
    let alice = stage.peer_in("alice", None, &["--listen", "127.0.0.1:0", "--reachable", "false"]);
    let _second = stage.start_node("second");
    let link = stage.link();
    let (key, addresses) = link.split_once('@').unwrap();
    let (addresses, invite) = addresses.split_once('?').unwrap();
    let bob = stage.peer_at("bob", &format!("{key}@{}?{invite}", addresses.split(',').nth(1).unwrap()));
    // A session knows the nodes that there were when it began.
    alice.ctl(&["logout"]).ok();
    alice.ctl(&["login"]).ok();
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
}
