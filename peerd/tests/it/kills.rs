//! `kill -9` at each step of the story: what a command had confirmed is there, and everybody finds each other again.

use crate::{
    pictures,
    stage::{Stage, wait_until},
};

#[test]
fn killing_everybody_after_every_step_loses_nothing() {
    let mut stage = Stage::new();
    let (mut alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let ids = [alice.json(&["status"])["id"].clone(), bob.json(&["status"])["id"].clone()];
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    let all_die = |stage: &mut Stage, alice: &mut crate::stage::Peer, bob: &mut crate::stage::Peer| {
        alice.kill();
        stage.kill_dosd();
        bob.kill();
        bob.start();
        stage.start_dosd();
        alice.start();
        alice.online();
        bob.online();
        assert_eq!([alice.json(&["status"])["id"].clone(), bob.json(&["status"])["id"].clone()], ids);
    };
    all_die(&mut stage, &mut alice, &mut bob);
    alice.ctl(&["add", "sea.jpg"]).ok();
    all_die(&mut stage, &mut alice, &mut bob);
    alice.ctl(&["add", "sea.jpg"]).fails(7);
    assert_eq!(bob.json(&["list", "alice"])["peers"][0]["images"][0]["name"], "sea");
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    all_die(&mut stage, &mut alice, &mut bob);
    wait_until("bob is told", || bob.right("/sea").is_some_and(|right| right.0 == 3));
    bob.ctl(&["fetch", "alice/sea"]).ok();
    all_die(&mut stage, &mut alice, &mut bob);
    assert_eq!(bob.view("alice/sea"), original);
    all_die(&mut stage, &mut alice, &mut bob);
    assert_eq!(bob.right("/sea").unwrap().0, 2);
    wait_until("alice has the receipt", || alice.given("/sea").is_some_and(|right| right.1 == 1));
    bob.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
    all_die(&mut stage, &mut alice, &mut bob);
    assert_eq!(bob.ctl(&["view", "alice/sea", "--offline", "-o", "-"]).out, original);
    all_die(&mut stage, &mut alice, &mut bob);
    alice.ctl(&["share", "sea", "bob", "--revoke"]).ok();
    all_die(&mut stage, &mut alice, &mut bob);
    wait_until("bob has the revocation", || bob.right("/sea").unwrap().2 == "revoked");
    bob.ctl(&["view", "alice/sea", "-o", "x"]).fails(6);
}

#[test]
fn peers_find_a_restarted_directory_without_help() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    stage.kill_dosd();
    wait_until("alice notices", || alice.json(&["status"])["state"] == "connecting");
    stage.start_dosd();
    alice.online();
    bob.online();
    assert_eq!(alice.json(&["list", "--online"])["peers"].as_array().unwrap().len(), 2);
}

#[test]
fn a_killed_peer_is_seen_offline_and_comes_back_by_itself() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.kill();
    wait_until("bob is offline", || alice.json(&["resolve", "bob"])["online"] == false);
    bob.start();
    bob.online();
    assert_eq!(alice.json(&["resolve", "bob"])["online"], true);
}

#[test]
fn a_view_whose_command_is_killed_is_resumed_without_counting_again() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    // A command that hangs up when the picture is there, but before it says that it has shown it.
    use std::io::Write;
    let mut stream = std::os::unix::net::UnixStream::connect(bob.socket()).unwrap();
    let view = dos_protocol::control::Command::View { image: "alice/sea".parse().unwrap(), offline: false };
    let message = dos_protocol::control::ToPeerd::Do(Box::new(view));
    stream.write_all(&dos_protocol::frame::to_frame(&message).unwrap()).unwrap();
    loop {
        let body = dos_protocol::frame::read_blocking(&mut stream).unwrap().unwrap();
        if let dos_protocol::control::FromPeerd::Done(_) = dos_protocol::frame::decode(&body).unwrap() {
            break;
        }
    }
    drop(stream);
    assert_eq!(bob.right("/sea").unwrap().0, 0);
    assert_eq!(bob.view("alice/sea"), original, "the counted view is resumed");
    bob.ctl(&["view", "alice/sea", "-o", "x"]).fails(6);
    assert_eq!(bob.right("/sea"), Some((0.into(), 1, "used_up".into())));
}
