//! What a user learns later, who was not watching.

use serde_json::Value;

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn news(peer: &Peer) -> Vec<Value> {
    peer.json(&["news"])["news"].as_array().unwrap().clone()
}

fn kinds(news: &[Value]) -> Vec<&str> {
    news.iter().map(|one| one["event"].as_str().unwrap()).collect()
}

fn unseen(peer: &Peer) -> u64 {
    peer.json(&["status"])["pending"]["news"].as_u64().unwrap()
}

#[test]
fn what_has_happened_is_shown_once_also_across_a_restart() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    assert_eq!((news(&alice).len(), news(&bob).len()), (0, 0), "what one does oneself is no news");
    bob.ctl(&["request", "alice/sea", "--views", "2"]).ok();
    wait_until("alice is asked", || unseen(&alice) == 1);
    alice.ctl(&["deny", "1", "--reason", "not yet"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "2"]).ok();
    alice.ctl(&["send", "bob", "look at this"]).ok();
    wait_until("bob has all of it", || unseen(&bob) == 3);
    bob.restart();
    assert_eq!(unseen(&bob), 3);
    let shown = news(&bob);
    assert_eq!(kinds(&shown), ["decision", "grant", "message"]);
    assert_eq!((&shown[0]["reason"], &shown[2]["text"]), (&"not yet".into(), &"look at this".into()));
    assert!(shown.iter().all(|one| one["seen"] == false), "{shown:?}");
    assert_eq!((news(&bob).len(), unseen(&bob)), (0, 0));
    bob.restart();
    bob.online();
    assert_eq!(news(&bob).len(), 0);
    let all = bob.json(&["news", "--all"]);
    assert_eq!((all["news"].as_array().unwrap().len(), &all["news"][0]["seen"]), (3, &true.into()));

    bob.view("alice/sea");
    alice.ctl(&["rename", "sea", "ocean"]).ok();
    alice.ctl(&["remove", "ocean"]).ok();
    wait_until("alice has the receipt", || unseen(&alice) == 2);
    assert_eq!(kinds(&news(&alice)), ["request", "viewed"]);
    wait_until("bob learns of both", || unseen(&bob) == 2);
    let shown = news(&bob);
    let changes: Vec<_> = shown.iter().map(|one| (one["change"].as_str(), one["was"].as_str())).collect();
    assert_eq!(changes, [(Some("renamed"), Some("sea")), (Some("removed"), None)]);
}

#[test]
fn news_that_were_not_shown_stay_and_a_message_that_was_read_is_none() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for text in ["one", "two"] {
        alice.ctl(&["send", "bob", text]).ok();
    }
    wait_until("bob has both", || unseen(&bob) == 2);
    // A caller that goes away before it has shown anything.
    let mut gone = bob.command(&["news", "--json"]);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = gone.stdout(full).stderr(std::process::Stdio::null()).status().unwrap();
    assert!(!status.success());
    assert_eq!(unseen(&bob), 2);
    bob.ctl(&["messages"]).ok();
    assert_eq!((unseen(&bob), news(&bob).len()), (0, 0));
}
