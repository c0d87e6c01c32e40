//! While the directory is out of reach, and when it is somewhere else.

use std::time::{Duration, Instant};

use crate::{
    following::contacts,
    pictures,
    stage::{Stage, wait_until},
};

/// What "at once" means to a person, with room for a machine that does other things.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn without_the_directory_what_was_seen_last_is_shown_and_the_rest_fails_at_once() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let before = bob.json(&["list"]);
    assert_eq!(before["as_of"], serde_json::Value::Null);
    bob.ctl(&["preview", "alice/sea", "-o", "before.webp"]).ok();
    stage.kill_dosd();
    wait_until("bob notices", || bob.json(&["status"])["state"] == "connecting");
    let begun = Instant::now();
    let listed = bob.json(&["list"]);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(listed["as_of"].is_string(), "{listed}");
    let peers = listed["peers"].as_array().unwrap();
    let images = |peer: &serde_json::Value| peer["images"].as_array().unwrap().len();
    let shown: Vec<_> = peers.iter().map(|peer| (peer["name"].as_str().unwrap(), images(peer))).collect();
    assert_eq!(shown, [("alice", 1), ("bob", 0)]);
    assert!(peers.iter().all(|peer| peer["online"] == false), "{listed}");
    assert_eq!(bob.json(&["list", "--limit", "1"])["peers"].as_array().unwrap().len(), 1);
    let told = bob.ctl(&["list", "alice"]);
    assert!(told.err.contains("the directory is out of reach; this is what it showed"), "{}", told.err);
    assert!(bob.json(&["preview", "alice/sea", "-o", "after.webp"])["as_of"].is_string());
    let read = |name: &str| std::fs::read(bob.dir.join(name)).unwrap();
    assert_eq!(read("before.webp"), read("after.webp"));
    // What was never seen is not there.
    bob.ctl(&["list", "carol"]).fails(4);
    // Longer than a restart takes: what needs the directory says so at once, each time.
    wait_until("a restart would be over", || begun.elapsed() > Duration::from_secs(3));
    for args in [
        &["share", "sea", "bob", "--views", "1"][..],
        &["request", "alice/sea"],
        &["send", "alice", "hello"],
        &["list", "--online"],
    ] {
        let begun = Instant::now();
        let told = bob.ctl(args).fails(4);
        assert!(begun.elapsed() < AT_ONCE, "{args:?} took {:?}", begun.elapsed());
        assert!(told.contains("the directory is out of reach"), "{told}");
    }
    stage.start_dosd();
    // The first request that comes finds it again.
    bob.ctl(&["send", "alice", "hello again"]).ok();
    assert_eq!(bob.json(&["list"])["as_of"], serde_json::Value::Null);
}

#[test]
fn what_was_seen_last_has_the_names_that_contacts_have_now() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    contacts(&alice, &bob);
    bob.json(&["list"]);
    alice.ctl(&["name", "alicia"]).ok();
    wait_until("bob is told", || {
        bob.json(&["shares", "--received"])["received"][0]["owner_name"] == "alicia"
    });
    stage.kill_dosd();
    wait_until("bob notices", || bob.json(&["status"])["state"] == "connecting");
    let names = |listed: &serde_json::Value| {
        let peers = listed["peers"].as_array().unwrap();
        peers.iter().map(|peer| peer["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed = bob.json(&["list"]);
    assert!(listed["as_of"].is_string(), "{listed}");
    assert_eq!(names(&listed), ["alicia", "bob"]);
    assert_eq!(names(&bob.json(&["list", "alicia"])), ["alicia"]);
}

#[test]
fn a_directory_that_has_moved_is_the_same_one_and_another_one_is_refused() {
    let mut stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let other = Stage::new();
    let refused = alice.error(7, &["server", &other.link()]);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("is another directory, and nothing was changed"), "{refused}");
    assert!(refused["error"]["cause"].as_str().unwrap().contains("its key is"), "{refused}");
    bob.ctl(&["logout"]).ok();
    stage.kill_dosd();
    stage.move_dosd();
    let link = stage.link();
    let moved = alice.json(&["server", &link]);
    assert_eq!(moved["state"], "online");
    alice.ctl(&["send", "bob", "we have moved"]).ok();
    // One that was logged out stays so, and knows where to go; `login` does both.
    assert_eq!(bob.json(&["server", &link])["state"], "offline");
    bob.ctl(&["login", "--server", &link]).ok();
    wait_until("the message is here", || bob.json(&["status"])["pending"]["messages"] == 1);
    let server = bob.json(&["status"])["server"].as_str().unwrap().to_owned();
    assert_eq!(Some(server.as_str()), link.split('?').next());
    assert!(!std::fs::read_to_string(bob.dir.join("state/identity.toml")).unwrap().contains("invite"));
}
