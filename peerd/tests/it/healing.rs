//! Data that was put back from a copy, the directory's and a viewer's: what was confirmed is there again, and no view is shown twice.

use std::{fs, path::Path, process::Command};

use dos_testing::{Guarded, Signal};
use serde_json::{Value, json};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn copy_dir(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

impl Peer {
    fn stop(&mut self) {
        self.peerd.take().unwrap().signal(Signal::TERM);
    }

    /// Starts it on another state and waits until it is online.
    fn put_back(&mut self, copy: &str) {
        if self.peerd.is_some() {
            self.stop();
        }
        copy_dir(&self.dir.join(copy), &self.dir.join("state"));
        self.start();
        self.online();
    }

    /// How many pictures a person gets who views the image offline until that is refused.
    fn pictures(&self, image: &str, original: &[u8]) -> usize {
        let mut pictures = 0;
        loop {
            let ran = self.ctl(&["view", image, "--offline", "-o", "-"]);
            if ran.code != Some(0) {
                return pictures;
            }
            assert_eq!(ran.out, original);
            pictures += 1;
        }
    }

    /// The texts of messages with how far they got.
    fn sent(&self) -> Vec<(String, String)> {
        let page = self.json(&["messages", "--limit", "1000"]);
        let mine = page["messages"].as_array().unwrap().iter().filter(|message| !message["state"].is_null());
        mine.map(|m| (m["text"].as_str().unwrap().into(), m["state"].as_str().unwrap().into())).collect()
    }
}

/// The lines of `watch`, which runs until the handle is dropped.
fn watch(peer: &Peer) -> (Guarded, std::path::PathBuf) {
    let file = peer.dir.join("watched");
    let out = fs::File::create(&file).unwrap();
    let watching = Guarded::start(peer.command(&["--json", "watch"]).stdout(out));
    wait_until("watch follows", || lines(&file).iter().any(|line| line["event"] == "notice"));
    (watching, file)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_viewers_state_put_back_five_times_gives_as_many_pictures_as_were_checked_out() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5", "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let (_watching, watched) = watch(&alice);
    bob.ctl(&["checkout", "alice/sea", "--views", "3"]).ok();
    bob.stop();
    copy_dir(&bob.dir.join("state"), &bob.dir.join("copy"));
    let mut pictures = 0;
    for _ in 0..5 {
        bob.put_back("copy");
        pictures += bob.pictures("alice/sea", &original);
    }
    assert_eq!(pictures, 3);
    // The books of both say what happened.
    let given_up = "3 held views of alice/sea were given up: this state was put back from a copy";
    assert!(bob.notes().iter().any(|note| note == given_up), "{:?}", bob.notes());
    let receipt = || lines(&watched).into_iter().find(|event| event["kind"] == "given_up");
    wait_until("alice is told", || receipt().is_some());
    let receipt = receipt().unwrap();
    assert_eq!((&receipt["views"], &receipt["views_used"]), (&json!(3), &json!(3)));
    wait_until("and counts them", || alice.given("/sea") == Some((json!(2), 3, "active".into())));
    assert_eq!(bob.right("/sea"), Some((json!(2), 3, "active".into())));
    // Nothing comes back: a check-in finishes what was given up, if that is under way still. What is checked out from now on is held as ever.
    wait_until("nothing is held", || bob.ctl(&["checkin", "alice/sea"]).code == Some(5));
    assert_eq!(bob.right("/sea"), Some((json!(2), 3, "active".into())));
    bob.ctl(&["checkout", "alice/sea", "--views", "2"]).ok();
    bob.restart();
    bob.online();
    assert_eq!(bob.pictures("alice/sea", &original), 2);
    stage.is_sound();
}

#[test]
fn a_state_that_was_copied_with_an_open_checkout_gives_that_up_too() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "4", "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    bob.stop();
    copy_dir(&bob.dir.join("state"), &bob.dir.join("copy"));
    bob.start();
    bob.online();
    bob.ctl(&["checkout", "alice/sea", "--views", "2"]).ok();
    assert_eq!(bob.pictures("alice/sea", &original), 2);
    // The copy knows nothing of the checkout: what it believes is what the directory has counted.
    bob.put_back("copy");
    wait_until("bob has learned it", || bob.right("/sea") == Some((json!(2), 2, "active".into())));
    assert_eq!(bob.pictures("alice/sea", &original), 0);
    assert_eq!(bob.view("alice/sea"), original);
}

#[test]
fn a_queued_message_is_delivered_in_the_senders_list_when_it_was_stored() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.stop();
    for text in ["one", "two"] {
        alice.ctl(&["send", "bob", text]).ok();
    }
    let queued = [("one".into(), "queued".into()), ("two".into(), "queued".into())];
    assert_eq!(alice.sent(), queued);
    bob.start();
    bob.online();
    wait_until("alice is told", || alice.sent().iter().all(|(_, state)| state == "delivered"));
}

#[test]
fn confirmed_messages_are_there_again_after_a_restore() {
    let mut stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.stop();
    let texts: Vec<String> = (0..30).map(|number| format!("message {number}")).collect();
    for text in &texts[..20] {
        alice.ctl(&["send", "bob", text]).ok();
    }
    stage.backup("backup");
    for text in &texts[20..] {
        alice.ctl(&["send", "bob", text]).ok();
    }
    stage.restore("backup");
    alice.online();
    bob.start();
    bob.online();
    let received = || {
        let page = bob.json(&["messages", "--limit", "100"]);
        let texts = page["messages"].as_array().unwrap().iter();
        texts.map(|message| message["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until("bob has all of them", || received().len() >= texts.len());
    assert_eq!(received(), texts, "each once, in their order");
    wait_until("alice is told", || alice.sent().iter().all(|(_, state)| state == "delivered"));
    let restored = "the directory was restored from older data and was told what is known here";
    assert!(alice.notes().iter().any(|note| note.starts_with(restored)), "{:?}", alice.notes());
    stage.is_sound();
}

#[test]
fn a_confirmed_revocation_stands_again_after_a_restore() {
    let mut stage = Stage::new();
    let (mut alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    bob.stop();
    stage.backup("backup");
    alice.ctl(&["share", "sea", "bob", "--revoke"]).ok();
    alice.stop();
    stage.restore("backup");
    alice.start();
    alice.online();
    wait_until("the directory knows it", || alice.notes().iter().any(|note| note.contains("restored")));
    bob.start();
    bob.online();
    wait_until("bob is told", || bob.right("/sea").is_some_and(|right| right.2 == "revoked"));
    bob.ctl(&["view", "alice/sea", "-o", "x.jpg"]).fails(6);
    assert_eq!(alice.given("/sea").unwrap().2, "revoked");
    stage.is_sound();
}

#[test]
fn owner_and_viewer_see_the_same_after_a_restore() {
    let mut stage = Stage::new();
    let (mut alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    stage.backup("backup");
    alice.ctl(&["share", "sea", "bob", "--add", "5"]).ok();
    wait_until("bob is told", || bob.right("/sea") == Some((json!(10), 0, "active".into())));
    alice.stop();
    // Alice does not know of these.
    for _ in 0..3 {
        assert_eq!(bob.view("alice/sea"), original);
    }
    bob.stop();
    stage.restore("backup");
    // Whoever comes first: here it is the viewer, who knows of views that it was given and cannot prove that.
    bob.start();
    bob.online();
    alice.start();
    alice.online();
    let expected = Some((json!(7), 3, "active".into()));
    wait_until("alice sees it", || alice.given("/sea") == expected);
    wait_until("bob sees it", || bob.right("/sea") == expected);
    assert_eq!(bob.view("alice/sea"), original);
    wait_until("a view counts for both", || alice.given("/sea") == Some((json!(6), 4, "active".into())));
    stage.is_sound();
}

#[test]
fn what_no_one_knows_any_more_is_reported() {
    let mut stage = Stage::new();
    let (mut alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    stage.backup("backup");
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    alice.stop();
    stage.restore("backup");
    bob.online();
    let waits = "not confirmed until others are back: 1 grant";
    wait_until("bob is told", || bob.notes().iter().any(|note| note.ends_with(waits)));
    bob.ctl(&["view", "alice/sea", "-o", "x.jpg"]).fails(6);
    // And it is there again as soon as one is back that knows it.
    alice.start();
    alice.online();
    wait_until("bob can view it", || bob.ctl(&["view", "alice/sea", "-o", "-"]).code == Some(0));
    stage.is_sound();
}

#[test]
fn a_peer_that_registered_after_the_backup_keeps_its_id_and_what_it_has() {
    let mut stage = Stage::new();
    let mut alice = stage.peer("alice");
    stage.backup("backup");
    let mut bob = stage.peer("bob");
    let id = bob.json(&["status"])["id"].clone();
    let original = pictures::write(&bob.dir.join("sea.jpg"), 1);
    bob.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["share", "sea", "alice", "--views", "2"]).ok();
    wait_until("alice is told", || alice.right("/sea").is_some());
    alice.stop();
    bob.stop();
    stage.restore("backup");
    bob.start();
    bob.online();
    assert_eq!(bob.json(&["status"])["id"], id);
    alice.start();
    alice.online();
    wait_until("the grant is there again", || alice.ctl(&["view", "bob/sea", "-o", "-"]).out == original);
    stage.is_sound();
}

#[test]
fn data_that_went_back_without_a_restore_is_noticed_by_the_first_peer_that_knows_better() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    stage.dosd.take().unwrap().signal(Signal::TERM);
    copy_dir(&stage.path("dosd"), &stage.path("snapshot"));
    stage.start_dosd();
    bob.online();
    for _ in 0..2 {
        assert_eq!(bob.view("alice/sea"), original);
    }
    wait_until("alice counts", || alice.given("/sea") == Some((json!(3), 2, "active".into())));
    stage.dosd.take().unwrap().signal(Signal::TERM);
    copy_dir(&stage.path("snapshot"), &stage.path("dosd"));
    stage.start_dosd();
    wait_until("both have told it", || {
        [&alice, &bob].iter().all(|peer| peer.notes().iter().any(|note| note.contains("restored")))
    });
    assert_eq!(bob.view("alice/sea"), original);
    let expected = Some((json!(2), 3, "active".into()));
    wait_until("alice sees it", || alice.given("/sea") == expected);
    assert_eq!(bob.right("/sea"), expected);
    stage.is_sound();
}
