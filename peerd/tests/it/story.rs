//! The main story, as a user lives it.

use std::{fs, os::unix::fs::PermissionsExt};

use dos_testing::Signal;

use crate::{
    pictures,
    stage::{Stage, wait_until},
};

#[test]
fn sign_up_publish_grant_view() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    let added = alice.json(&["add", "sea.jpg"]);
    let image = &added["images"][0];
    assert_eq!(image["image_id"], blake3::hash(&original).to_hex().as_str());
    assert_eq!((image["format"].as_str(), image["width"].as_u64()), (Some("jpeg"), Some(320)));
    let error = alice.error(7, &["add", "sea.jpg"]);
    assert_eq!(error["error"]["code"], "conflict");
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some_and(|right| right.0 == 2));
    bob.ctl(&["view", "alice/sea", "-o", "out.jpg"]).ok();
    assert_eq!(fs::read(bob.dir.join("out.jpg")).unwrap(), original);
    assert_eq!(bob.view("alice/sea"), original);
    let denied = bob.error(6, &["view", "alice/sea", "-o", "third.jpg"]);
    assert_eq!(denied["error"]["code"], "denied");
    assert!(denied["error"]["message"].as_str().unwrap().contains("used up"), "{denied}");
    assert!(denied["error"]["hint"].as_str().unwrap().starts_with("dosctl request alice/sea"), "{denied}");
    assert!(!bob.dir.join("third.jpg").exists());
    assert_eq!(bob.right("/sea"), Some((0.into(), 2, "used_up".into())));
    wait_until("alice has the receipts", || alice.given("/sea").is_some_and(|right| right.1 == 2));
}

#[test]
fn a_view_works_with_the_owner_offline_when_the_copy_is_here() {
    let stage = Stage::new();
    let (mut alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    pictures::write(&alice.dir.join("hill.jpg"), 2);
    alice.ctl(&["add", "sea.jpg", "hill.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    alice.ctl(&["share", "hill", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/hill").is_some());
    alice.peerd.take().unwrap().signal(Signal::TERM);
    assert_eq!(bob.view("alice/sea"), original);
    assert_eq!(bob.right("/sea").unwrap().0, 2);
}

#[test]
fn an_absent_viewer_learns_of_its_right_when_it_signs_in() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["logout"]).ok();
    assert_eq!(alice.json(&["resolve", "bob"])["online"], false);
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    bob.ctl(&["view", "alice/sea", "-o", "x.jpg"]).fails(4);
    let login = bob.json(&["login"]);
    assert_eq!((login["state"].as_str(), login["replayed"].as_u64()), (Some("online"), Some(1)));
    assert_eq!(bob.view("alice/sea"), original);
}

#[test]
fn signals_sign_out_and_a_restart_signs_in_by_the_saved_id() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let id = bob.json(&["status"])["id"].clone();
    let mode = fs::metadata(bob.dir.join("state/identity.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for signal in [Signal::INT, Signal::TERM] {
        let status = bob.peerd.take().unwrap().signal(signal);
        assert_eq!(status.code(), Some(0), "{}", bob.log());
        assert_eq!(alice.json(&["resolve", "bob"])["online"], false, "at once");
        bob.start();
        bob.online();
        assert_eq!(bob.json(&["status"])["id"], id);
        assert_eq!(alice.json(&["resolve", "bob"])["online"], true);
    }
    bob.ctl(&["logout"]).ok();
    bob.restart();
    assert_eq!(bob.json(&["status"])["state"], "offline", "one that was logged out stays so");
}

#[test]
fn a_session_of_commands_has_the_documented_shapes_and_exit_codes() {
    let stage = Stage::new();
    let alice = stage.stranger("alice");
    assert_eq!(alice.json(&["status"])["state"], "unregistered");
    alice.ctl(&["list"]).fails(4);
    let link = stage.link();
    let registered = alice.json(&["register", "--server", &link, "--name", "alice"]);
    let server = link.split('?').next();
    assert_eq!((registered["name"].as_str(), registered["server"].as_str()), (Some("alice"), server));
    assert_eq!(registered["id"].as_str().map(str::len), Some(8));
    alice.ctl(&["register", "--server", &link, "--name", "alice2"]).fails(7);
    let bob = stage.stranger("bob");
    bob.ctl(&["register", "--server", &link, "--name", "bob"]).fails(6);
    let link = stage.link();
    bob.ctl(&["register", "--server", &link, "--name", "alice"]).fails(7);
    bob.ctl(&["register", "--server", &link, "--name", "Alice"]).fails(8);
    bob.ctl(&["register", "--server", &link, "--name", "bob"]).ok();
    let twisted = link.replace("dos://", "dos://1");
    bob.ctl(&["register", "--server", &twisted]).fails(2);
    alice.ctl(&["resolve", "nobody"]).fails(5);
    alice.ctl(&["view", "bob/none", "-o", "x"]).fails(5);
    alice.ctl(&["share", "none", "bob", "--views", "1"]).fails(5);
    fs::write(alice.dir.join("text.jpg"), "not an image").unwrap();
    alice.ctl(&["add", "text.jpg"]).fails(8);
    alice.ctl(&["add", "missing.jpg"]).fails(5);
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["add", "sea.jpg", "--name", "again"]).ok();
    let bobs = bob.json(&["list", "alice"]);
    let images = bobs["peers"][0]["images"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0]["image_id"], images[1]["image_id"]);
    assert_eq!(images[0]["access"]["state"], "none");
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"][0]["access"], serde_json::Value::Null);
    assert_eq!(alice.json(&["list", "--online"])["peers"].as_array().unwrap().len(), 2);
    bob.ctl(&["preview", "alice/sea", "-o", "small.jpg"]).ok();
    let small = image::open(bob.dir.join("small.jpg")).unwrap();
    assert_eq!((small.width(), small.height()), (256, 192));
    bob.ctl(&["view", "alice/sea", "-o", "x.jpg"]).fails(6);
    bob.ctl(&["view", "alice/sea", "-o", "."]).fails(2);
    let mut bob = bob;
    bob.kill();
    bob.ctl(&["status"]).fails(3);
}
