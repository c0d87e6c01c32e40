//! Leaving a directory for good, and what is left here and there.

use std::{fs, path::PathBuf};

use serde_json::json;

use crate::{
    pictures,
    presence::Watch,
    stage::{Stage, wait_until},
};

#[test]
fn who_leaves_is_gone_everywhere_and_those_concerned_are_told() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for (peer, name) in [(&alice, "sea"), (&alice, "dune"), (&bob, "wood")] {
        pictures::write(&peer.dir.join(format!("{name}.jpg")), 1);
        peer.ctl(&["add", &format!("{name}.jpg")]).ok();
    }
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    bob.ctl(&["share", "wood", "alice", "--views", "2"]).ok();
    wait_until("both have their grants", || bob.right("/sea").is_some() && alice.right("/wood").is_some());
    bob.ctl(&["request", "alice/dune"]).ok();
    bob.view("alice/sea");
    let original = fs::read(alice.dir.join("sea.jpg")).unwrap();
    let id = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    let watch = Watch::begin(&bob, &[]);
    // No one is there to be asked.
    let refused = alice.error(2, &["unregister"]);
    assert_eq!(refused["error"]["hint"].as_str().unwrap().rsplit(' ').next(), Some("--yes"));
    let left = alice.json(&["unregister", "--yes"]);
    assert_eq!((&left["id"], &left["name"]), (&json!(id), &json!("alice")));
    let sea = json!(format!("{id}/sea"));
    watch.until("bob is told that the image is gone", |line| {
        line["event"] == "image" && line["change"] == "removed" && line["image"] == sea
    });
    watch.until("bob is told that his grant has ended", |line| {
        line["event"] == "grant" && line["state"] == "revoked" && line["viewer"] == json!(id)
    });
    bob.ctl(&["resolve", &id]).fails(5);
    assert_eq!(bob.json(&["requests", "--outgoing"])["outgoing"], json!([]));
    stage.is_sound();
    // The profile is as new.
    assert_eq!(alice.json(&["status"])["state"], "unregistered");
    assert_eq!(alice.error(4, &["unregister", "--yes"])["error"]["code"], "offline");
    alice.ctl(&["register", "--server", &stage.link(), "--name", "alice"]).ok();
    let again = alice.json(&["status"]);
    assert_ne!(again["id"].as_str(), Some(&*id));
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"], json!([]));
    // What was here is there, whole, and goes online with nobody.
    let kept = PathBuf::from(left["kept"].as_str().unwrap());
    let mut old = stage.stranger("old");
    old.peerd.take().unwrap().signal(dos_testing::Signal::TERM);
    fs::remove_dir_all(old.dir.join("state")).unwrap();
    fs::rename(kept, old.dir.join("state")).unwrap();
    old.start();
    assert_eq!(old.json(&["status"])["state"], "offline");
    assert_eq!(old.view("sea"), original);
}

#[test]
fn who_was_removed_or_lost_the_answer_has_left_all_the_same() {
    let mut stage = Stage::new();
    let mut alice = stage.peer("alice");
    let id = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    stage.kill_dosd();
    // Nothing is put aside before the directory has said so.
    alice.ctl(&["unregister", "--yes"]).fails(4);
    assert_eq!(alice.json(&["status"])["id"], id.as_str());
    stage.start_dosd();
    assert!(stage.operate(&["remove", &id]).status.success());
    let left = alice.json(&["unregister", "--yes"]);
    assert_eq!(left["id"], id.as_str());
    alice.restart();
    assert_eq!(alice.json(&["status"])["state"], "unregistered");
    alice.ctl(&["register", "--server", &stage.link(), "--name", "alice"]).ok();
}
