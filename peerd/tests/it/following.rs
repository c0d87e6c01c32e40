//! What contacts show and what they are called: for those who watch, and as news for those who were away.

use serde_json::{Value, json};

use crate::{
    pictures,
    presence::Watch,
    stage::{Peer, Stage, wait_until},
};

fn id(peer: &Peer) -> String {
    peer.json(&["status"])["id"].as_str().unwrap().to_owned()
}

fn add(peer: &Peer, name: &str, seed: u8, more: &[&str]) {
    let file = format!("{name}.jpg");
    pictures::write(&peer.dir.join(&file), seed);
    peer.ctl(&[&["add", &file], more].concat()).ok();
}

/// Bob has dealt with Alice, and follows her.
pub(crate) fn contacts(alice: &Peer, bob: &Peer) {
    add(alice, "old", 1, &[]);
    alice.ctl(&["share", "old", "bob", "--views", "9"]).ok();
    wait_until("bob has the grant", || bob.right("/old").is_some());
    bob.view("alice/old");
    // He follows her once a change of hers comes.
    wait_until("bob follows alice", || {
        add(alice, "probe", 2, &[]);
        alice.ctl(&["remove", "probe"]).ok();
        kinds(&bob.json(&["news", "--all"])).contains(&("added".into(), "probe".into()))
    });
    bob.ctl(&["news"]).ok();
}

/// What has become of which image, of the events about images.
fn kinds(news: &Value) -> Vec<(String, String)> {
    let events = news["news"].as_array().unwrap().iter().filter(|event| event["event"] == "image");
    events
        .map(|event| {
            let name = event["image"].as_str().unwrap().split('/').nth(1).unwrap();
            (event["change"].as_str().unwrap().to_owned(), name.to_owned())
        })
        .collect()
}

fn pair(change: &str, name: &str) -> (String, String) {
    (change.into(), name.into())
}

#[test]
fn what_a_contact_shows_is_seen_at_once_and_what_is_private_is_not() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    contacts(&alice, &bob);
    let (watch, other) = (Watch::begin(&bob, &[]), Watch::begin(&carol, &[]));
    let owner = id(&alice);
    let until = |change: &str, name: &str| {
        let image = json!(format!("{owner}/{name}"));
        watch.until(&format!("{name} is {change}"), |line| {
            line["event"] == "image" && line["change"] == change && line["image"] == image
        })
    };
    add(&alice, "secret", 3, &["--private"]);
    add(&alice, "sea", 4, &[]);
    assert_eq!(until("added", "sea")["owner_name"], "alice");
    alice.ctl(&["rename", "sea", "ocean"]).ok();
    assert_eq!(until("renamed", "ocean")["was"], "sea");
    add(&alice, "ocean", 5, &["--replace"]);
    until("replaced", "ocean");
    alice.ctl(&["set", "ocean", "--private"]).ok();
    until("removed", "ocean");
    alice.ctl(&["set", "ocean", "--listed"]).ok();
    until("added", "ocean");
    alice.ctl(&["remove", "ocean", "secret"]).ok();
    wait_until("bob has it as news", || {
        kinds(&bob.json(&["news", "--all"])).ends_with(&[pair("removed", "ocean")])
    });
    let shown = kinds(&bob.json(&["news", "--all"]));
    assert!(shown.iter().all(|(_, name)| name != "secret"), "{shown:?}");
    // Carol has not dealt with Alice.
    assert!(kinds(&carol.json(&["news", "--all"])).is_empty());
    drop(other);
}

#[test]
fn what_was_shown_while_one_was_away_is_news_once() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    contacts(&alice, &bob);
    bob.kill();
    for (name, seed) in [("one", 3), ("two", 4)] {
        add(&alice, name, seed, &[]);
    }
    add(&alice, "three", 5, &["--private"]);
    bob.start();
    bob.online();
    wait_until("bob knows of both", || bob.json(&["status"])["pending"]["news"] == 2);
    let shown = bob.json(&["news"]);
    assert_eq!(kinds(&shown), [pair("added", "one"), pair("added", "two")]);
    bob.restart();
    bob.online();
    add(&alice, "four", 6, &[]);
    wait_until("bob knows of the next one", || bob.json(&["status"])["pending"]["news"] == 1);
    assert_eq!(kinds(&bob.json(&["news"])), [pair("added", "four")]);
}

#[test]
fn a_contact_that_has_another_name_has_it_everywhere() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    contacts(&alice, &bob);
    bob.ctl(&["request", "alice/old", "--views", "2"]).ok();
    let (owner, watch) = (id(&alice), Watch::begin(&bob, &[]));
    let named = |name: &str| {
        let received = bob.json(&["shares", "--received"]);
        let asked = bob.json(&["requests", "--outgoing"]);
        received["received"][0]["owner_name"] == name && asked["outgoing"][0]["owner_name"] == name
    };
    alice.ctl(&["name", "alicia"]).ok();
    watch.until("bob is told", |line| {
        line["event"] == "peer"
            && line["change"] == "renamed"
            && line["name"] == "alicia"
            && line["was"] == "alice"
    });
    assert!(named("alicia"));
    drop(watch);
    bob.kill();
    alice.ctl(&["name", "ally"]).ok();
    bob.start();
    bob.online();
    wait_until("bob learns it when he is back", || {
        let received = bob.json(&["shares", "--received"]);
        received["received"][0]["owner_name"] == "ally"
    });
    bob.view("ally/old");
    // What is gone is told with the owner's name.
    bob.ctl(&["news"]).ok();
    alice.ctl(&["remove", "old"]).ok();
    wait_until("bob is told that it is gone", || bob.json(&["status"])["pending"]["news"] == 1);
    let text = bob.ctl(&["news"]).ok();
    assert!(text.contains("ally/old was removed") && !text.contains(&owner), "{text}");
    let watch = Watch::begin(&bob, &[]);
    alice.ctl(&["unregister", "--yes"]).ok();
    watch.until("bob is told that she has left", |line| {
        line["event"] == "peer"
            && line["change"] == "left"
            && line["id"] == json!(owner)
            && line["name"] == "ally"
    });
}
