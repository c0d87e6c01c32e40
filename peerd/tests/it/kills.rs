//! `kill -9` at each step of the story: what a command had confirmed is there, and everybody finds each other again.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
};

use dos_protocol::{
    control::{Command, FromPeerd, ToPeerd},
    frame,
};
use dos_testing::{Guarded, Signal};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
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
    alice.ctl(&["share", "sea", "bob", "--views", "3", "--allow-offline"]).ok();
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

/// Reads a picture to its end as a dosctl of the first release does, and maybe says then that it was shown.
fn read_whole(bob: &Peer, offline: bool, shown: bool) -> Vec<u8> {
    let mut stream = UnixStream::connect(bob.socket()).unwrap();
    let view = Command::View { image: "alice/sea".parse().unwrap(), offline, asks: false };
    stream.write_all(&frame::to_frame(&ToPeerd::Do(Box::new(view))).unwrap()).unwrap();
    let mut picture = Vec::new();
    loop {
        let body = frame::read_blocking(&mut stream).unwrap().unwrap();
        match frame::decode(&body).unwrap() {
            FromPeerd::Data(piece) => picture.extend(piece),
            FromPeerd::Done(_) if shown => {
                drop(stream.write_all(&frame::to_frame(&ToPeerd::Shown).unwrap()));
                assert!(!matches!(frame::read_blocking(&mut stream), Ok(Some(_))), "peerd hangs up");
                return picture;
            }
            FromPeerd::Done(_) => return picture,
            FromPeerd::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Alice has shared a large picture, and Bob has its copy.
fn shared(stage: &Stage, views: &str) -> (Peer, Peer, Vec<u8>) {
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write_large(&alice.dir.join("sea.jpg"), 1, 2 << 20);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", views, "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    (alice, bob, original)
}

#[test]
fn a_daemon_that_dies_when_the_picture_is_in_place_has_counted_it() {
    let stage = Stage::new();
    let (alice, mut bob, original) = shared(&stage, "6");
    bob.ctl(&["checkout", "alice/sea", "--views", "3"]).ok();
    for offline in [false, true] {
        for left in (0..3).rev() {
            assert!(read_whole(&bob, offline, left == 0) == original, "{left} are left then");
            bob.restart();
        }
    }
    bob.online();
    bob.ctl(&["view", "alice/sea", "-o", "x"]).fails(6);
    bob.ctl(&["view", "alice/sea", "--offline", "-o", "x"]).fails(6);
    bob.ctl(&["checkin", "alice/sea"]).fails(5);
    assert_eq!(bob.right("/sea"), Some((0.into(), 6, "used_up".into())));
    wait_until("alice has the receipts", || alice.given("/sea").is_some_and(|right| right.1 == 6));
    assert_eq!(alice.json(&["shares", "--given"])["given"][0]["returned"], 0);
}

#[test]
fn a_daemon_that_is_asked_to_stop_gives_the_picture_to_its_end() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    // More than fits in what lies between peerd and a reader that does not read.
    let original = pictures::write_large(&alice.dir.join("sea.jpg"), 1, 8 << 20);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let mut command = bob.command(&["view", "alice/sea", "-o", "-"]);
    let mut viewing = Guarded::start(command.stdout(Stdio::piped()));
    let (mut out, mut picture) = (viewing.stdout(), vec![0]);
    out.read_exact(&mut picture).unwrap();
    let peerd = bob.peerd.take().unwrap();
    peerd.send(Signal::TERM);
    out.read_to_end(&mut picture).unwrap();
    assert!(picture == original, "{} bytes", picture.len());
    assert!(viewing.wait().success());
    assert!(peerd.signal(Signal::TERM).success());
}

#[test]
fn a_reader_that_stops_early_has_used_the_view() {
    let stage = Stage::new();
    let (_alice, bob, original) = shared(&stage, "6");
    bob.ctl(&["checkout", "alice/sea", "--views", "3"]).ok();
    let early = original.len() * 975 / 1000;
    for offline in [&[][..], &["--offline"][..]] {
        for _ in 0..3 {
            let mut command = bob.command(&[&["view", "alice/sea", "-o", "-"][..], offline].concat());
            let mut viewing = Guarded::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
            let mut start = vec![0; early];
            viewing.stdout().read_exact(&mut start).unwrap();
            assert!(start == original[..early]);
            viewing.wait();
        }
    }
    for offline in [&[][..], &["--offline"][..]] {
        bob.ctl(&[&["view", "alice/sea", "-o", "-"][..], offline].concat()).fails(6);
    }
    assert_eq!(bob.right("/sea"), Some((0.into(), 6, "used_up".into())));
}
