//! Images named as people name them, and what they are told where that leads to nothing.

use crate::{
    pictures,
    presence::Watch,
    stage::{Peer, Stage, wait_until},
};

/// The hint of a command that finds nothing.
#[track_caller]
fn hint(peer: &Peer, args: &[&str]) -> String {
    let error = peer.error(5, args);
    let hint = error["error"]["hint"].as_str().unwrap_or_default();
    // The test names the peerd by its socket, and so does what was meant.
    let named = format!("--socket {} --json ", peer.socket().display());
    hint.replacen(&named, "", 1)
}

#[test]
fn an_image_that_is_not_there_leads_to_the_one_that_was_meant() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("the sea.jpg"), 1);
    alice.ctl(&["add", "the sea.jpg"]).ok();
    alice.ctl(&["share", "the sea", "bob", "--views", "2"]).ok();
    wait_until("bob is told", || bob.right("/the sea").is_some());
    for args in [
        &["view", "the sea", "-o", "x.jpg"][..],
        &["fetch", "the sea"],
        &["request", "the sea", "--views", "3"],
        &["preview", "the sea"],
    ] {
        let meant = hint(&bob, args);
        let rest: String = args[2..].iter().map(|arg| format!(" {arg}")).collect();
        assert_eq!(meant, format!("dosctl {} 'alice/the sea'{rest}", args[0]));
    }
    assert_eq!(
        hint(&alice, &["share", "the sea.jpg", "bob", "--views", "3"]),
        "dosctl share 'the sea' bob --views 3"
    );
    // It is the peer that is not there, and the image has an ending that is part of its name.
    pictures::write(&alice.dir.join("dune.jpg"), 2);
    alice.ctl(&["add", "dune.jpg", "--name", "dune.jpg"]).ok();
    assert_eq!(hint(&alice, &["share", "dune.jpg", "carol", "--views", "3"]), "dosctl list");
    assert_eq!(hint(&bob, &["view", "nothing", "-o", "x.jpg"]), "dosctl list --mine");
}

#[test]
fn what_is_not_there_is_called_what_was_typed() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let id = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    for owner in ["alice", &id] {
        let image = format!("{owner}/nothing");
        for args in [
            &["preview", &image, "-o", "x.webp"][..],
            &["request", &image, "--views", "2"],
            &["view", &image, "-o", "x.jpg"],
            &["fetch", &image],
        ] {
            let refused = bob.error(5, args);
            assert_eq!(refused["error"]["message"], format!("there is no image {image}"), "{args:?}");
        }
    }
}

#[test]
fn an_owner_may_name_itself() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "alice/sea", "bob", "--views", "2"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    let refused = bob.error(8, &["share", "alice/sea", "alice", "--views", "2"]);
    assert_eq!(refused["error"]["message"], "alice/sea is not yours");
    let id = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    alice.ctl(&["rename", &format!("{id}/sea"), "ocean"]).ok();
    alice.ctl(&["remove", "alice/ocean"]).ok();
}

#[test]
fn a_peer_takes_another_name_and_everybody_finds_it_under_that() {
    let stage = Stage::new();
    let (mut alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "3"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.view("alice/sea");
    assert_eq!(alice.error(7, &["name", "bob"])["error"]["code"], "conflict");
    alice.error(8, &["name", ".alicia"]);
    let watch = Watch::begin(&bob, &[]);
    let named = alice.json(&["name", "alicia"]);
    assert_eq!((&named["name"], &named["was"]), (&"alicia".into(), &"alice".into()));
    watch.until("bob sees it at once", |line| line["event"] == "presence" && line["name"] == "alicia");
    assert_eq!(alice.json(&["name", "alicia"])["was"], "alicia", "again nothing changes");
    assert_eq!(bob.json(&["resolve", "alicia"])["id"], named["id"]);
    // A grant goes by the ID and the key.
    bob.view("alicia/sea");
    bob.ctl(&["view", "alice/sea", "-o", "x.jpg"]).fails(5);
    assert_eq!(alice.json(&["shares"])["given"][0]["owner_name"], "alicia");
    alice.restart();
    alice.online();
    assert_eq!(alice.json(&["status"])["name"], "alicia");
    // The old name is free, and its next owner gets nothing of hers.
    let carol = stage.peer("carol");
    carol.ctl(&["name", "alice"]).ok();
    assert_eq!(bob.json(&["resolve", "alice"])["id"], carol.json(&["status"])["id"]);
    alice.ctl(&["logout"]).ok();
    alice.error(4, &["name", "other"]);
}
