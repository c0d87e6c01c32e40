//! Many images, peers and requests in one command.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

fn add(peer: &Peer, names: &[&str]) {
    for (number, name) in (1..).zip(names) {
        pictures::write(&peer.dir.join(format!("{name}.jpg")), number);
    }
    let files: Vec<String> = names.iter().map(|name| format!("{name}.jpg")).collect();
    let mut args = vec!["add"];
    args.extend(files.iter().map(String::as_str));
    peer.ctl(&args).ok();
}

/// The views left of everything that this peer has received, by image.
fn received(peer: &Peer) -> Vec<(String, Value)> {
    let shares = peer.json(&["shares", "--received"]);
    let mut all: Vec<_> = shares["received"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| (grant["image"].as_str().unwrap()[9..].to_owned(), grant["views_left"].clone()))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn many_images_are_shared_with_many_peers_and_groups_at_once() {
    let stage = Stage::new();
    let (mut alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    add(&alice, &["holiday-1", "holiday-2", "sea"]);
    alice.ctl(&["group", "friends", "--add", "bob", "carol"]).ok();
    // A group outlives the daemon.
    alice.restart();
    alice.online();
    let groups = alice.json(&["groups"]);
    let members = groups["groups"][0]["members"].as_array().unwrap();
    assert_eq!((groups["groups"][0]["name"].as_str(), members.len()), (Some("friends"), 2));
    let shared = alice.json(&["share", "holiday*", "--to", "@friends,bob", "--views", "3"]);
    assert_eq!((shared["grants"].as_array().unwrap().len(), &shared["failed"]), (4, &0.into()));
    let expected = vec![("holiday-1".to_owned(), 3.into()), ("holiday-2".to_owned(), 3.into())];
    for peer in [&bob, &carol] {
        wait_until("both are shared", || received(peer).len() == 2);
        assert_eq!(received(peer), expected);
    }
    // What fails stops nothing else, and is told once for all of its kind.
    let ran = alice.ctl(&["share", "sea", "holiday-1", "--to", "nobody,bob", "--add", "1"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert_eq!(String::from_utf8(ran.out).unwrap(), "2 grants of 2 images to 2 peers raised by 1 view\n");
    assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
    assert!(ran.err.contains("sea to nobody, holiday-1 to nobody: "), "{}", ran.err);
    wait_until("bob has more", || received(&bob).iter().map(|one| &one.1).eq([4, 3, 1].iter()));
    alice.ctl(&["share", "*", "--to", "@friends", "--revoke"]).fails(5);
    alice.ctl(&["share", "holiday*", "--to", "@friends", "--revoke"]).ok();
    alice.ctl(&["share", "x*", "--to", "bob", "--views", "1"]).fails(5);
    alice.ctl(&["share", "sea", "--to", "@nobody", "--views", "1"]).fails(5);
    alice.ctl(&["share", "sea", "bob", "carol", "--views", "1"]).fails(2);
    alice.ctl(&["group", "friends", "--remove", "bob", "carol"]).ok();
    alice.ctl(&["group", "friends"]).fails(5);
    let removed = alice.json(&["remove", "holiday*", "sea"]);
    assert_eq!(removed["images"].as_array().unwrap().len(), 3);
    assert_eq!(alice.json(&["list", "--mine"])["total"]["images"], 0);
}

#[test]
fn requests_are_answered_together() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    add(&alice, &["sea", "hill"]);
    for (peer, image) in [(&bob, "alice/sea"), (&bob, "alice/hill"), (&carol, "alice/sea")] {
        peer.ctl(&["request", image, "--views", "2"]).ok();
    }
    wait_until("they are here", || alice.json(&["status"])["pending"]["requests"] == 3);
    let approved = alice.json(&["approve", "--all", "--from", "bob"]);
    assert_eq!((approved["requests"].as_array().unwrap().len(), &approved["failed"]), (2, &0.into()));
    wait_until("bob has both", || received(&bob).len() == 2);
    let ran = alice.ctl(&["deny", "--all", "--reason", "not yet"]);
    assert!(String::from_utf8(ran.out).unwrap().starts_with("denied request "));
    assert_eq!(alice.json(&["status"])["pending"]["requests"], 0);
    alice.ctl(&["approve", "1", "99"]).fails(7);
}

#[test]
fn a_thousand_shares_take_seconds() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let peers: Vec<Peer> = (0..5).map(|number| stage.peer(&format!("peer{number}"))).collect();
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    for number in 0..200 {
        alice.ctl(&["add", "sea.jpg", "--name", &format!("sea{number}")]).ok();
    }
    let to = peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>().join(",");
    let begun = Instant::now();
    let shared = alice.json(&["share", "sea*", "--to", &to, "--views", "1"]);
    let took = begun.elapsed();
    assert_eq!((shared["grants"].as_array().unwrap().len(), &shared["failed"]), (1000, &0.into()));
    // One after the other they would take more than a minute on any machine: every one is two commits on two disks.
    assert!(took < Duration::from_secs(20), "{took:?}");
    // The same command changes nothing more.
    alice.ctl(&["share", "sea*", "--to", &to, "--views", "1"]).ok();
}

#[test]
fn a_folder_is_added_again_only_as_far_as_it_has_changed() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    for (number, path) in (1..).zip(["trip/sea.jpg", "trip/dawn/sea.jpg", "trip/hill.jpg"]) {
        let path = alice.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        pictures::write(&path, number);
    }
    std::fs::write(alice.dir.join("trip/notes.txt"), "none").unwrap();
    let added = alice.json(&["add", "-r", "trip"]);
    let names: Vec<&str> =
        added["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sea", "hill", "trip-sea"]);
    assert_eq!((&added["unchanged"], &added["skipped"]), (&0.into(), &1.into()));
    let again = alice.json(&["add", "-r", "trip"]);
    assert_eq!((again["images"].as_array().unwrap().len(), &again["unchanged"]), (0, &3.into()));
    // Another picture under a name that is taken.
    pictures::write(&alice.dir.join("trip/hill.jpg"), 9);
    let ran = alice.ctl(&["add", "-r", "trip"]);
    assert_eq!(ran.code, Some(7), "{}", ran.err);
    assert!(
        ran.err.contains("added 0 images, 2 unchanged, 1 file skipped: no images, 1 failed"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("hint: dosctl add trip/hill.jpg --name hill-2\n"), "{}", ran.err);
}

/// Several at once, but what comes of them in their order; and of two files that want one name the first one gets it.
#[test]
fn a_folder_is_added_and_fetched_in_its_order_whatever_is_done_at_once() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer_in("bob", None, &["--auto-fetch", "false"]));
    let names: Vec<String> = (0..24).map(|number| format!("p{number:02}")).collect();
    for folder in ["trip", "other"] {
        std::fs::create_dir(alice.dir.join(folder)).unwrap();
    }
    for (number, name) in (0..).zip(&names) {
        pictures::write(&alice.dir.join(format!("trip/{name}.jpg")), number);
    }
    let named = |document: &Value| -> Vec<String> {
        let images = document["images"].as_array().unwrap().iter();
        let name = |image: &Value| image["name"].as_str().or(image["image"].as_str()).unwrap().to_owned();
        images.map(|image| name(image).rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&alice.json(&["add", "-r", "trip", "--album", "trip"])), names);
    alice.ctl(&["share", "--album", "trip", "--to", "bob", "--views", "1"]).ok();
    wait_until("bob has the grants", || received(&bob).len() == names.len());
    assert_eq!(named(&bob.json(&["fetch", "--album", "alice/trip"])), names);
    bob.json(&["view", "--album", "alice/trip", "-o", "."]);
    for name in &names {
        let original = std::fs::read(alice.dir.join(format!("trip/{name}.jpg"))).unwrap();
        assert_eq!(std::fs::read(bob.dir.join(format!("{name}.jpg"))).unwrap(), original, "{name}");
    }

    for (folder, number) in [("trip", 100), ("other", 101)] {
        pictures::write(&alice.dir.join(format!("{folder}/same.jpg")), number);
    }
    let added = alice.ctl(&["add", "trip/same.jpg", "other/same.jpg"]);
    assert_eq!(added.code, Some(7), "{}", added.err);
    assert!(added.err.contains("other/same.jpg"), "{}", added.err);
    alice.ctl(&["view", "same", "-o", "seen.jpg"]).ok();
    let seen = std::fs::read(alice.dir.join("seen.jpg")).unwrap();
    assert_eq!(seen, std::fs::read(alice.dir.join("trip/same.jpg")).unwrap());
}

#[test]
fn many_are_fetched_and_viewed_at_once_and_refused_before_anything_is_spent() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    add(&alice, &["holiday-1", "holiday-2", "sea", "hill"]);
    alice.ctl(&["set", "holiday*", "--album", "summer"]).ok();
    alice.ctl(&["share", "holiday*", "sea", "--to", "bob", "--views", "3"]).ok();
    wait_until("bob has the grants", || received(&bob).len() == 3);

    let ran = bob.ctl(&["fetch", "alice/holiday*", "alice/sea", "alice/hill", "--json"]);
    assert_eq!(ran.code, Some(6), "hill is not shared: {}", ran.err);
    let fetched: Value = serde_json::from_slice(&ran.out).unwrap();
    assert_eq!((fetched["images"].as_array().unwrap().len(), &fetched["failed"]), (3, &1.into()));
    bob.ctl(&["fetch", "alice/winter*"]).fails(5);

    // A file that is there already is a refusal of all, and so is what is no folder.
    std::fs::create_dir(bob.dir.join("pictures")).unwrap();
    std::fs::write(bob.dir.join("pictures/sea.jpg"), "mine").unwrap();
    bob.ctl(&["view", "alice/holiday*", "alice/sea", "-o", "pictures"]).fails(7);
    bob.ctl(&["view", "alice/holiday*", "-o", "none"]).fails(5);
    bob.ctl(&["view", "alice/holiday*", "-o", "-"]).fails(2);
    assert!(received(&bob).iter().all(|(_, left)| *left == 3), "nothing was spent");

    let viewed = bob.json(&["view", "--album", "alice/summer", "alice/holiday-1", "-o", "pictures"]);
    assert_eq!((viewed["images"].as_array().unwrap().len(), &viewed["failed"]), (2, &0.into()));
    for name in ["holiday-1", "holiday-2"] {
        let original = std::fs::read(alice.dir.join(format!("{name}.jpg"))).unwrap();
        assert_eq!(std::fs::read(bob.dir.join(format!("pictures/{name}.jpg"))).unwrap(), original, "{name}");
    }
    assert_eq!(viewed["images"][0]["file"], "pictures/holiday-1.jpg");
    let left: Vec<_> = received(&bob).into_iter().map(|(_, left)| left).collect();
    assert_eq!(left, [2, 2, 3]);
}
