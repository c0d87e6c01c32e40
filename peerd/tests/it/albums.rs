//! Private images, albums, and peers that get what comes into them.

use serde_json::Value;

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn add(peer: &Peer, name: &str, number: u8, options: &[&str]) {
    let file = format!("{name}.jpg");
    pictures::write(&peer.dir.join(&file), number);
    peer.ctl(&[&["add", &*file], options].concat()).ok();
}

/// The images of alice that a listing shows, each with its album.
fn listed(peer: &Peer, options: &[&str]) -> Vec<(String, Value)> {
    let page = peer.json(&[&["list", "alice"], options].concat());
    let peers = page["peers"].as_array().unwrap();
    let images = peers.iter().flat_map(|peer| peer["images"].as_array().unwrap());
    images.map(|image| (image["name"].as_str().unwrap().to_owned(), image["album"].clone())).collect()
}

fn names(peer: &Peer) -> Vec<String> {
    listed(peer, &[]).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_private_image_is_there_for_holders_of_grants_alone() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    add(&alice, "hush", 1, &["--private"]);
    add(&alice, "sea", 2, &[]);
    let mine = alice.json(&["list", "--mine"]);
    assert_eq!(mine["peers"][0]["images"][0]["visibility"], "private");
    assert!(alice.ctl(&["list", "--mine"]).ok().contains("own, private"));
    assert_eq!(names(&bob), ["sea"]);
    for command in ["preview", "request", "view", "fetch"] {
        let told = |image: &str| {
            let name = format!("alice/{image}");
            let mut args = vec![command, &*name];
            if command == "view" {
                args.extend(["-o", "out.jpg"]);
            }
            bob.error(5, &args).to_string().replace(image, "NAME")
        };
        assert_eq!(told("hush"), told("none"), "{command}");
    }
    alice.ctl(&["share", "hush", "bob", "--views", "2"]).ok();
    wait_until("bob sees it", || names(&bob) == ["hush", "sea"]);
    bob.ctl(&["preview", "alice/hush"]).ok();
    assert!(!bob.view("alice/hush").is_empty());
    assert_eq!(names(&carol), ["sea"]);
    alice.ctl(&["share", "hush", "bob", "--revoke"]).ok();
    wait_until("bob does not see it", || names(&bob) == ["sea"]);
    wait_until("his own list says why", || {
        bob.json(&["shares", "--received"])["received"][0]["state"] == "revoked"
    });
    bob.error(5, &["request", "alice/hush"]);
    // It can be given again, and listed.
    alice.ctl(&["share", "hush", "bob", "--views", "1"]).ok();
    wait_until("bob sees it again", || names(&bob) == ["hush", "sea"]);
    assert!(!bob.view("alice/hush").is_empty());
    let set = alice.ctl(&["set", "hush", "--listed"]).ok();
    assert_eq!(set, "hush is listed\n");
    assert_eq!(names(&carol), ["hush", "sea"]);
    alice.ctl(&["set", "*", "--private"]).ok();
    assert!(names(&carol).is_empty());
    stage.is_sound();
}

#[test]
fn images_are_put_into_albums_which_those_see_who_see_them() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let folder = alice.dir.join("pictures");
    std::fs::create_dir(&folder).unwrap();
    for (number, name) in (1..).zip(["dawn", "dusk"]) {
        pictures::write(&folder.join(format!("{name}.jpg")), number);
    }
    alice.ctl(&["add", "-r", "pictures"]).ok();
    // What is there already comes into the album, too.
    pictures::write(&folder.join("noon.jpg"), 3);
    let added = alice.json(&["add", "-r", "pictures", "--album", "Caf\u{e9} 2024"]);
    assert_eq!((added["images"].as_array().unwrap().len(), &added["unchanged"]), (1, &2.into()));
    add(&alice, "sea", 4, &["--private", "--album", "Cafe\u{301} 2024"]);
    let albums = alice.json(&["albums"]);
    let only = &albums["albums"][0];
    assert_eq!(
        (&only["name"], &only["images"], &only["private"]),
        (&"Caf\u{e9} 2024".into(), &4.into(), &1.into())
    );
    let album = |name: &str| (name.to_owned(), Value::from("Caf\u{e9} 2024"));
    assert_eq!(listed(&bob, &["--album", "Caf\u{e9} 2024"]), ["dawn", "dusk", "noon"].map(album));
    alice.ctl(&["set", "dusk", "--album", "night"]).ok();
    // A new name, and another picture, leave it where it is.
    alice.ctl(&["rename", "dusk", "late"]).ok();
    pictures::write(&alice.dir.join("late.jpg"), 9);
    alice.ctl(&["add", "late.jpg", "--replace"]).ok();
    assert_eq!(listed(&bob, &["--album", "night"]), [("late".to_owned(), "night".into())]);
    let shared = alice.json(&["share", "--album", "Caf\u{e9} 2024", "--to", "bob", "--views", "1"]);
    assert_eq!(shared["grants"].as_array().unwrap().len(), 3);
    wait_until("bob sees the private one", || names(&bob).contains(&"sea".to_owned()));
    alice.ctl(&["set", "late", "--no-album"]).ok();
    alice.ctl(&["album", "night"]).fails(5);
    alice.ctl(&["share", "--album", "night", "--to", "bob", "--views", "1"]).fails(5);
    alice.ctl(&["set", "late", "--album", "../x"]).fails(8);
    stage.is_sound();
}

/// Views left of what a peer has received, by the image's name.
fn left(peer: &Peer, image: &str) -> Option<Value> {
    let shares = peer.json(&["shares", "--received"]);
    let all = shares["received"].as_array().unwrap();
    let found = all.iter().find(|grant| grant["image"].as_str().unwrap().ends_with(&format!("/{image}")));
    found.map(|grant| grant["views_left"].clone())
}

#[test]
fn what_comes_into_an_album_later_is_given_once_whatever_is_killed() {
    let stage = Stage::new();
    let (mut alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    add(&alice, "one", 1, &["--album", "holiday"]);
    alice.ctl(&["share", "--album", "holiday", "--to", "bob", "--views", "3", "--later"]).ok();
    wait_until("what was there is given", || left(&bob, "one") == Some(3.into()));
    add(&alice, "two", 2, &["--album", "holiday"]);
    wait_until("what came later is given", || left(&bob, "two") == Some(3.into()));
    assert!(!bob.view("alice/two").is_empty());
    // Killed right after an image has come: it is given all the same, and nothing else is given anew.
    add(&alice, "three", 3, &["--album", "holiday", "--private"]);
    alice.kill();
    alice.start();
    alice.online();
    wait_until("it is given", || left(&bob, "three") == Some(3.into()));
    assert_eq!(left(&bob, "two"), Some(2.into()));
    // Out and in again, and the same rule again: once is once.
    alice.ctl(&["set", "two", "--no-album"]).ok();
    alice.ctl(&["set", "two", "--album", "holiday"]).ok();
    let again = ["share", "--album", "holiday", "--to", "bob", "--views", "3", "--later"];
    let rules = alice.json(&again);
    assert_eq!((&rules["rules"][0]["given"], &rules["rules"][0]["waiting"]), (&3.into(), &0.into()));
    assert_eq!(left(&bob, "two"), Some(2.into()));
    let shown = alice.ctl(&["album", "holiday"]).ok();
    assert!(
        shown.contains("bob gets 3 views of every image in holiday, also later ones: 3 given"),
        "{shown}"
    );
    alice.ctl(&["album", "holiday", "--no-later", "bob"]).ok();
    alice.ctl(&["album", "holiday", "--no-later", "bob"]).fails(5);
    add(&alice, "four", 4, &["--album", "holiday"]);
    alice.ctl(&["share", "four", "bob", "--views", "1"]).ok();
    wait_until("only what is shared is given", || left(&bob, "four") == Some(1.into()));
    // Revoking an album ends the rule, too.
    alice.ctl(&again).ok();
    alice.ctl(&["share", "--album", "holiday", "--to", "bob", "--revoke"]).ok();
    assert_eq!(alice.json(&["album", "holiday"])["rules"].as_array().unwrap().len(), 0);
    stage.is_sound();
}

#[test]
fn a_restored_directory_learns_again_what_is_private_and_which_album_an_image_is_in() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    add(&alice, "sea", 1, &[]);
    stage.backup("before");
    alice.ctl(&["set", "sea", "--private", "--album", "holiday"]).ok();
    add(&alice, "dune", 2, &["--private"]);
    stage.restore("before");
    alice.online();
    bob.online();
    wait_until("the directory knows it again", || names(&bob).is_empty());
    wait_until("the album is there, too", || {
        listed(&alice, &[]) == [("dune".to_owned(), Value::Null), ("sea".to_owned(), "holiday".into())]
    });
    stage.is_sound();
}
