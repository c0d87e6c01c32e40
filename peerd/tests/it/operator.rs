//! What the operator does to a peer, as its user sees it.

use serde_json::json;

use crate::{
    pictures,
    presence::Watch,
    stage::{Stage, wait_until},
};

#[test]
fn a_peer_that_was_away_learns_what_the_operator_has_done_and_why() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    wait_until("bob has the grant", || bob.right("/sea").is_some());
    alice.ctl(&["logout"]).ok();
    let watch = Watch::begin(&alice, &[]);
    for args in [
        &["takedown", "alice/sea", "--reason", "a complaint"][..],
        &["rename", "alice", "alicia", "--reason", "as asked"],
    ] {
        let done = stage.operate(args);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    alice.ctl(&["login"]).ok();
    for text in
        ["the operator has taken down sea: a complaint", "the operator has renamed you to alicia: as asked"]
    {
        let line = watch.until(text, |line| line["text"] == text);
        assert_eq!((&line["event"], &line["kind"]), (&json!("notice"), &json!("announcement")));
    }
    assert_eq!(alice.json(&["status"])["name"], "alicia");
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"], json!([]));
    assert_eq!(bob.json(&["resolve", "alicia"])["name"], "alicia");
    wait_until("the grant is over", || bob.right("/sea").is_none_or(|right| right.2 == "revoked"));
}

#[test]
fn a_peer_that_is_renamed_while_it_is_online_comes_back_under_its_new_name() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    assert!(stage.operate(&["rename", "alice", "alicia"]).status.success());
    wait_until("alice has her new name", || alice.json(&["status"])["name"] == "alicia");
    alice.online();
    bob.ctl(&["send", "alicia", "welcome"]).ok();
}

#[test]
fn a_peer_that_was_banned_is_told_that_it_is_not_let_in_and_why() {
    let stage = Stage::new();
    let (alice, _bob) = (stage.peer("alice"), stage.peer("bob"));
    assert!(stage.operate(&["remove", "alice", "--ban", "--reason", "spam"]).status.success());
    wait_until("alice is offline", || alice.json(&["status"])["state"] == "connecting");
    let refused = alice.error(4, &["send", "bob", "hello"]);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the directory does not let this peer in"), "{refused}");
    assert!(refused["error"]["cause"].as_str().unwrap().ends_with("banned this peer: spam"), "{refused}");
}
