//! Asking, offering, changing, taking back, replacing: with the real programs.

use serde_json::{Value, json};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn pending(peer: &Peer, side: &str) -> Vec<Value> {
    peer.json(&["requests"])[side].as_array().unwrap().clone()
}

#[test]
fn ask_counter_offer_use_up_ask_for_more_deny_with_a_reason() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let asked = bob.json(&["request", "alice/sea", "--views", "5", "--note", "for the calendar"]);
    let number = asked["request"].to_string();
    wait_until("alice sees it", || pending(&alice, "incoming").len() == 1);
    let seen = pending(&alice, "incoming").remove(0);
    assert_eq!((seen["views"].clone(), seen["note"].clone()), (json!(5), json!("for the calendar")));
    bob.ctl(&["request", "alice/sea", "--views", "4"]).ok();
    wait_until("alice sees the change", || pending(&alice, "incoming")[0]["views"] == 4);
    assert_eq!(pending(&alice, "incoming").len(), 1);
    alice.ctl(&["approve", &number, "--views", "1"]).ok();
    wait_until("bob may view once", || bob.right("/sea").is_some_and(|right| right.0 == 1));
    assert_eq!(bob.view("alice/sea"), original);
    bob.ctl(&["view", "alice/sea", "-o", "x"]).fails(6);
    let more = bob.json(&["request", "alice/sea", "--views", "2"])["request"].to_string();
    wait_until("alice sees it", || pending(&alice, "incoming").len() == 1);
    alice.ctl(&["deny", &more, "--reason", "once was enough"]).ok();
    let answered = || bob.json(&["requests", "--outgoing", "--all"])["outgoing"].as_array().unwrap().clone();
    wait_until("bob hears no", || answered().iter().any(|request| request["state"] == "denied"));
    let denied = answered().into_iter().find(|request| request["state"] == "denied").unwrap();
    assert_eq!(denied["reason"], "once was enough");
    let third = bob.json(&["request", "alice/sea", "--views", "2"])["request"].to_string();
    bob.ctl(&["cancel", &third]).ok();
    wait_until("alice sees that it is gone", || pending(&alice, "incoming").is_empty());
    alice.ctl(&["approve", &third]).fails(7);
}

#[test]
fn a_revocation_while_the_viewer_is_offline_deletes_the_copy_at_sign_in() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--unlimited", "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some_and(|right| right.0.is_null()));
    bob.view("alice/sea");
    bob.ctl(&["checkout", "alice/sea", "--views", "3"]).ok();
    let copies = || std::fs::read_dir(bob.dir.join("state/sealed")).unwrap().count();
    assert_eq!(copies(), 1);
    bob.ctl(&["logout"]).ok();
    alice.ctl(&["share", "sea", "bob", "--revoke"]).ok();
    bob.ctl(&["view", "alice/sea", "--offline", "-o", "held.jpg"]).ok();
    bob.ctl(&["login"]).ok();
    assert_eq!(bob.right("/sea").unwrap().2, "revoked");
    wait_until("the copy is gone", || copies() == 0);
    for args in [&["view", "alice/sea", "-o", "x"][..], &["view", "alice/sea", "--offline", "-o", "x"][..]] {
        let error = bob.error(6, args);
        assert!(error["error"]["message"].as_str().unwrap().contains("revoked"), "{error}");
    }
    bob.restart();
    bob.online();
    assert_eq!(bob.right("/sea").unwrap().2, "revoked");
}

#[test]
fn a_replaced_image_goes_on_with_the_new_content_and_a_renamed_one_under_the_new_name() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let old = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "4"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    assert_eq!(bob.view("alice/sea"), old);
    let new = pictures::write(&alice.dir.join("sea.jpg"), 2);
    alice.ctl(&["add", "sea.jpg", "--replace"]).ok();
    assert_eq!(bob.view("alice/sea"), new);
    wait_until("only the new copy is left", || {
        std::fs::read_dir(bob.dir.join("state/sealed")).unwrap().count() == 1
    });
    alice.ctl(&["rename", "sea", "ocean"]).ok();
    wait_until("bob has the new name", || bob.right("/ocean").is_some());
    assert_eq!(bob.view("alice/ocean"), new);
    bob.ctl(&["view", "alice/sea", "-o", "x"]).fails(5);
    assert_eq!(bob.right("/ocean"), Some((json!(1), 3, "active".into())));
    alice.ctl(&["remove", "ocean"]).ok();
    wait_until("the right has ended", || bob.right("/ocean").is_none_or(|right| right.2 == "revoked"));
    let code = bob.ctl(&["view", "alice/ocean", "-o", "x"]).code;
    assert!(matches!(code, Some(5 | 6)), "{code:?}");
}

#[test]
fn checked_out_views_work_without_the_directory_and_unused_ones_come_back() {
    let mut stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "5", "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["checkout", "alice/sea", "--views", "6"]).fails(6);
    bob.ctl(&["checkout", "alice/sea", "--views", "3"]).ok();
    assert_eq!(bob.right("/sea").unwrap().0, 2);
    stage.kill_dosd();
    bob.restart();
    assert_eq!(bob.ctl(&["view", "alice/sea", "--offline", "-o", "-"]).out, original);
    stage.start_dosd();
    bob.online();
    bob.ctl(&["checkin", "alice/sea"]).ok();
    assert_eq!(bob.right("/sea"), Some((json!(4), 1, "active".into())));
    bob.ctl(&["view", "alice/sea", "--offline", "-o", "x"]).fails(6);
    wait_until("alice has the receipts", || alice.given("/sea").is_some_and(|right| right.1 == 1));
    let given = alice.json(&["shares", "--given"])["given"][0].clone();
    assert_eq!((&given["returned"], &given["allow_offline"]), (&json!(2), &json!(true)));
}

#[test]
fn an_expired_right_is_denied_as_such() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--unlimited", "--expires", "2s"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    wait_until("it has expired", || bob.right("/sea").is_some_and(|right| right.2 == "expired"));
    let error = bob.error(6, &["view", "alice/sea", "-o", "x"]);
    assert!(error["error"]["message"].as_str().unwrap().contains("expired"), "{error}");
    alice.ctl(&["share", "sea", "bob", "--expires", "1h"]).ok();
    wait_until("it is extended", || bob.right("/sea").is_some_and(|right| right.2 == "active"));
    assert_eq!(bob.view("alice/sea"), original);
}

#[test]
fn an_offline_owner_changes_nothing() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["logout"]).ok();
    let error = alice.error(4, &["share", "sea", "bob", "--views", "1"]);
    assert_eq!(error["error"]["code"], "offline");
    assert!(bob.right("/sea").is_none());
}

/// What the viewer is told when it checks a view out.
fn refused_checkout(bob: &Peer) -> Value {
    let mut error = bob.error(6, &["checkout", "alice/sea", "--views", "1"]);
    error["error"].take()
}

#[test]
fn checkouts_need_the_owners_consent_which_can_be_asked_for_given_and_taken_back() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "9"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let refused = refused_checkout(&bob);
    assert_eq!((&refused["code"], &refused["reason"]), (&json!("denied"), &json!("not_offline")));
    assert_eq!(refused["hint"], "dosctl request alice/sea --offline");
    assert_eq!(bob.right("/sea").unwrap().0, 9, "nothing was spent");

    // Asked for and answered, in both ways.
    let allowed = |expected: bool| {
        let bobs = bob.json(&["shares", "--received"])["received"][0]["allow_offline"] == expected;
        bobs && alice.json(&["shares", "--given"])["given"][0]["allow_offline"] == expected
    };
    for (answer, expected) in [(&["--no-offline"][..], false), (&[][..], true)] {
        let request = bob.json(&["request", "alice/sea", "--offline"]);
        assert_eq!(request["allow_offline"], true);
        wait_until("alice sees it", || pending(&alice, "incoming").len() == 1);
        assert_eq!(pending(&alice, "incoming")[0]["allow_offline"], true);
        let number = request["request"].to_string();
        alice.ctl(&[&["approve", &number][..], answer].concat()).ok();
        wait_until("bob has the answer", || pending(&bob, "outgoing").is_empty() && allowed(expected));
    }
    bob.ctl(&["checkout", "alice/sea", "--views", "2"]).ok();

    // Taken back: what is checked out stays so.
    alice.ctl(&["share", "sea", "bob", "--no-offline"]).ok();
    wait_until("bob is told", || allowed(false));
    assert_eq!(refused_checkout(&bob)["reason"], "not_offline");
    assert_eq!(bob.view_offline("alice/sea"), original);
    bob.ctl(&["checkin", "alice/sea"]).ok();
    wait_until("the return is in alice's books", || {
        alice.json(&["shares", "--given"])["given"][0]["returned"] == 1
    });
    alice.ctl(&["share", "sea", "bob", "--allow-offline"]).ok();
    wait_until("bob is told", || allowed(true));
    bob.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
}
