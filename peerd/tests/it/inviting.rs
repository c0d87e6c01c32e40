//! `invite`, `up`, `view`: two people who have never met, by one link; and everybody who would like to come between them.

use std::fs;

use dos_protocol::{JoinLink, PublicKey, invitation::InviteSecret, key::SecretKey};
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::{
    messages::Following,
    stage::{Peer, Stage, wait_until},
    trust::secret_key_of,
};

fn picture(peer: &Peer, name: &str) -> Vec<u8> {
    let path = peer.dir.join(format!("{name}.jpg"));
    image::RgbImage::from_pixel(64, 48, image::Rgb([10, 80, 90])).save(&path).unwrap();
    peer.ctl(&["add", path.to_str().unwrap()]).ok();
    fs::read(&path).unwrap()
}

/// Where peers may invite, and where everybody may register.
fn inviting() -> Stage {
    Stage::with(&["--peer-invites", "3"])
}

fn open() -> Stage {
    Stage::with(&["--registration", "open"])
}

fn link(peer: &Peer, args: &[&str]) -> String {
    let mut all = vec!["invite"];
    all.extend(args);
    peer.ctl(&all).ok().trim().to_owned()
}

/// The only invitation that a peer has made or used.
fn invitation(peer: &Peer) -> Value {
    let invites = peer.json(&["invites"])["invites"].clone();
    assert_eq!(invites.as_array().unwrap().len(), 1, "{invites}");
    invites[0].clone()
}

fn state(peer: &Peer) -> String {
    invitation(peer)["state"].as_str().unwrap().to_owned()
}

fn trouble(peer: &Peer) -> String {
    invitation(peer)["trouble"].as_str().unwrap_or_default().to_owned()
}

/// How a peer knows another one: its trust, and its key.
fn known(peer: &Peer, name: &str) -> Option<(String, String)> {
    let contacts = peer.json(&["contacts"])["contacts"].clone();
    let contact = contacts.as_array().unwrap().iter().find(|contact| contact["name"] == name)?.clone();
    Some((contact["trust"].as_str()?.to_owned(), contact["key"].as_str()?.to_owned()))
}

fn verified(peer: &Peer) -> Option<(String, String)> {
    Some(("verified".into(), secret_key_of(peer).to_string()))
}

fn database(stage: &Stage) -> Connection {
    Connection::open(stage.path("dosd").join("dosd.db")).unwrap()
}

#[test]
fn three_commands_lead_from_nothing_to_a_verified_counted_view() {
    let stage = inviting();
    let alice = stage.peer("alice");
    let sea = picture(&alice, "sea");
    let mut watching = Following::start(&alice, &["--json", "watch"]);
    watching.event("notice");
    let ran = alice.ctl(&["invite", "bob", "sea", "--views", "2"]);
    assert!(ran.err.contains("bob gets 2 views of sea"), "{}", ran.err);
    let link = ran.ok();
    let bob = stage.stranger("bob");
    let up = bob.ctl(&["--json", "up", link.trim()]).json();
    assert_eq!(
        (&up["name"], &up["registered"], &up["joined"]["state"]),
        (&"bob".into(), &true.into(), &"welcome".into())
    );
    // What comes with the link is here before the command ends.
    assert_eq!(bob.view("alice/sea"), sea);
    assert_eq!(bob.right("sea").unwrap().0, 1);
    assert_eq!(known(&alice, "bob"), verified(&bob));
    assert_eq!(known(&bob, "alice"), verified(&alice));
    let used = invitation(&alice);
    assert_eq!(
        (&used["state"], &used["peer_name"], &used["grants"][0]["given"]),
        (&"used".into(), &"bob".into(), &true.into())
    );
    let event = watching.event("invite");
    assert_eq!((&event["state"], &event["peer_name"]), (&"giving".into(), &"bob".into()));
    // The secret is in no log, and in no file in the clear.
    let secret = link.trim().split('#').nth(1).unwrap();
    for peer in [&alice, &bob] {
        assert!(!peer.log().contains(secret));
        for file in
            fs::read_dir(peer.dir.join("state")).unwrap().flatten().filter(|file| file.path().is_file())
        {
            let bytes = fs::read(file.path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file:?}");
        }
    }
    assert!(!fs::read_to_string(stage.path("dosd.log")).unwrap().contains(secret));
}

#[test]
fn an_inviter_that_is_away_takes_its_guest_in_when_it_is_back() {
    let stage = inviting();
    let mut alice = stage.peer("alice");
    let sea = picture(&alice, "sea");
    let link = link(&alice, &["bob", "sea", "--unlimited"]);
    alice.kill();
    let mut bob = stage.stranger("bob");
    let told = bob.ctl(&["up", &link]);
    assert!(told.err.contains("alice has not answered yet"), "{}", told.err);
    told.ok();
    assert_eq!(known(&bob, "alice"), verified(&alice));
    // Neither side needs to run all the time.
    bob.restart();
    alice.start();
    bob.online();
    wait_until("bob is welcome", || state(&bob) == "welcome");
    assert_eq!(known(&alice, "bob"), verified(&bob));
    assert_eq!(bob.view("alice/sea"), sea);
}

#[test]
fn an_inviter_that_is_killed_again_and_again_gives_what_it_promised_once() {
    let stage = inviting();
    let mut alice = stage.peer("alice");
    picture(&alice, "sea");
    picture(&alice, "hill");
    let link = link(&alice, &["bob", "sea", "hill", "--views", "2"]);
    alice.kill();
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &link]).ok();
    for _ in 0..6 {
        alice.start();
        alice.kill();
    }
    alice.start();
    wait_until("bob is welcome", || state(&bob) == "welcome");
    for image in ["sea", "hill"] {
        assert_eq!(bob.right(image), Some((2.into(), 0, "active".into())), "{image}");
        assert_eq!(alice.given(image), Some((2.into(), 0, "active".into())), "{image}");
    }
    let rows: i64 = database(&stage).query_row("SELECT count(*) FROM grants", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
    assert_eq!(known(&alice, "bob"), verified(&bob));
}

#[test]
fn a_link_works_once_until_it_is_revoked_and_in_its_time() {
    let stage = open();
    let mut alice = stage.peer("alice");
    picture(&alice, "sea");
    let (bob, carol, dave) = (stage.stranger("bob"), stage.stranger("carol"), stage.stranger("dave"));
    let used = link(&alice, &["bob", "sea", "--views", "2"]);
    bob.ctl(&["up", &used]).ok();
    let refused = carol.ctl(&["up", &used, "--name", "carol"]).fails(6);
    assert!(refused.contains("cause: the link was used already, by another peer"), "{refused}");
    assert!(refused.contains("hint: ask alice for a new link"), "{refused}");
    assert!(trouble(&alice).contains("someone else with the link"), "{}", trouble(&alice));
    // The guest itself may use it again.
    assert_eq!(bob.json(&["up", &used])["joined"]["state"], "welcome");
    assert_eq!(bob.right("sea").unwrap().0, 2);

    let revoked = link(&alice, &["dave"]);
    let told = alice.error(7, &["invite", "dave"]);
    assert_eq!(told["error"]["hint"], "dosctl invites --revoke dave");
    alice.ctl(&["invites", "--revoke", "dave"]).ok();
    alice.ctl(&["invites", "--revoke", "dave"]).fails(5);
    let refused = dave.ctl(&["up", &revoked]).fails(6);
    assert!(refused.contains("cause: the link was revoked"), "{refused}");

    let late = link(&alice, &["erin"]);
    alice.kill();
    let own = Connection::open(alice.dir.join("state/peerd.db")).unwrap();
    assert_eq!(own.execute("UPDATE invitations SET expires_at = 1 WHERE guest = 'erin'", []).unwrap(), 1);
    drop(own);
    alice.start();
    alice.online();
    let refused = dave.ctl(&["up", &late]).fails(6);
    assert!(refused.contains("cause: the link was used after its time"), "{refused}");
    for peer in ["carol", "dave"] {
        assert_eq!(known(&alice, peer), None, "{peer} is not trusted");
    }
}

#[test]
fn where_newcomers_need_an_invite_a_used_or_revoked_link_lets_nobody_in() {
    let stage = inviting();
    let alice = stage.peer("alice");
    let link = |name: &str| alice.ctl(&["invite", name]).ok().trim().to_owned();
    let (used, revoked) = (link("bob"), link("carol"));
    stage.stranger("bob").ctl(&["register", "--server", &used]).ok();
    alice.ctl(&["invites", "--revoke", "carol"]).ok();
    let stranger = stage.stranger("mallory");
    for link in [&used, &revoked] {
        let refused = stranger.ctl(&["up", link, "--name", "mallory"]).fails(6);
        assert!(refused.contains("the invite is wrong, used up or expired"), "{refused}");
        assert!(refused.contains("hint: ask alice for a new link"), "{refused}");
    }
    assert_eq!(stranger.json(&["invites"])["invites"], Value::Array(Vec::new()));
    // Three in a day, also if they were revoked.
    link("dave");
    let told = alice.ctl(&["invite", "erin"]).fails(6);
    assert!(told.contains("3 invites of yours were made in the last 24 hours"), "{told}");
}

#[test]
fn where_peers_may_not_invite_an_invite_of_the_operators_does() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let told = alice.ctl(&["invite", "bob"]).fails(6);
    assert!(
        told.contains("the operator does not let peers invite") && told.contains("--code CODE"),
        "{told}"
    );
    assert_eq!(alice.json(&["invites"])["invites"], Value::Array(Vec::new()));
    let code = String::from_utf8(stage.operate(&["invite", "create"]).stdout).unwrap();
    let link = link(&alice, &["bob", "--code", code.trim()]);
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &link]).ok();
    assert_eq!((known(&alice, "bob"), known(&bob, "alice")), (verified(&bob), verified(&alice)));
}

#[test]
fn a_peer_that_is_registered_already_joins_with_the_link_too() {
    let stage = inviting();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let sea = picture(&alice, "sea");
    bob.ctl(&["send", "alice", "hello"]).ok();
    assert_eq!(known(&bob, "alice").unwrap().0, "first_use");
    let link = link(&alice, &["robert", "sea", "--views", "1"]);
    bob.ctl(&["up", &link]).ok();
    assert_eq!((known(&alice, "bob"), known(&bob, "alice")), (verified(&bob), verified(&alice)));
    assert_eq!(bob.view("alice/sea"), sea);
    let own = alice.ctl(&["up", &link]).fails(8);
    assert!(own.contains("an invitation of this peer itself"), "{own}");
    let other = inviting();
    let elsewhere = other.peer("carol").ctl(&["up", &link]).fails(7);
    assert!(elsewhere.contains("registered at another directory"), "{elsewhere}");
}

#[test]
fn a_wrong_secret_changes_nothing() {
    let stage = open();
    let alice = stage.peer("alice");
    picture(&alice, "sea");
    let text = link(&alice, &["bob", "sea", "--views", "2"]);
    let mallory = stage.stranger("mallory");
    let cut = mallory.ctl(&["up", &text[..text.len() - 1]]).fails(2);
    assert!(cut.contains("the join link was not copied whole, or was changed"), "{cut}");
    let mut wrong: JoinLink = text.parse().unwrap();
    wrong.invitation.as_mut().unwrap().secret = InviteSecret::generate().unwrap();
    let told = mallory.ctl(&["up", &wrong.to_string(), "--name", "mallory"]);
    assert!(told.err.contains("alice has not answered yet"), "{}", told.err);
    // Later messages are behind it: she has seen it.
    mallory.ctl(&["send", "alice", "hello"]).ok();
    wait_until("alice has it", || alice.ctl(&["messages"]).ok().contains("hello"));
    assert_eq!((state(&alice), state(&mallory)), ("open".into(), "waiting".into()));
    assert_ne!(known(&alice, "mallory").map(|(trust, _)| trust), Some("verified".into()));
    assert!(mallory.json(&["shares"])["received"].as_array().unwrap().is_empty());
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &text]).ok();
    assert_eq!(known(&alice, "bob"), verified(&bob));
}

/// Puts another key in the place of a peer's, in what the directory tells others of it.
fn swap(stage: &Stage, peer: &PublicKey, other: &PublicKey) {
    let sql = "UPDATE peers SET key = ?2 WHERE key = ?1";
    let changed = database(stage).execute(sql, params![peer.as_bytes(), other.as_bytes()]).unwrap();
    assert_eq!(changed, 1);
}

fn fresh_key() -> PublicKey {
    SecretKey::generate().unwrap().public().unwrap()
}

#[test]
fn a_guests_key_that_the_directory_swaps_in_the_greeting_is_refused_on_both_sides() {
    let stage = inviting();
    let mut alice = stage.peer("alice");
    picture(&alice, "sea");
    let link = link(&alice, &["bob", "sea", "--views", "2"]);
    alice.kill();
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &link]).ok();
    // The greeting waits at the directory, which puts its own key into it.
    let (bobs, mallorys) = (secret_key_of(&bob), fresh_key());
    let database = database(&stage);
    let (seq, mut body): (i64, Vec<u8>) = database
        .query_row("SELECT seq, body FROM inbox WHERE instr(body, ?1) > 0", [bobs.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let place = body.windows(32).position(|window| window == bobs.as_bytes()).unwrap();
    body[place..place + 32].copy_from_slice(mallorys.as_bytes());
    let sql = "UPDATE inbox SET body = ?2 WHERE seq = ?1 AND instr(body, ?3) > 0";
    assert_eq!(database.execute(sql, params![seq, body, bobs.as_bytes()]).unwrap(), 1);
    alice.start();
    wait_until("bob is told", || state(&bob) == "refused");
    assert!(trouble(&bob).contains("the directory has meddled"), "{}", trouble(&bob));
    assert!(trouble(&alice).contains("whose keys the link does not prove"), "{}", trouble(&alice));
    // It is not used up by that.
    assert_eq!(state(&alice), "open");
    assert_eq!((known(&alice, "bob"), alice.given("sea")), (None, None));
    assert_eq!(bob.right("sea"), None);
}

#[test]
fn a_guests_key_that_the_directory_swaps_elsewhere_gets_nothing() {
    let stage = inviting();
    let mut alice = stage.peer("alice");
    picture(&alice, "sea");
    let link = link(&alice, &["bob", "sea", "--views", "2"]);
    alice.kill();
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &link]).ok();
    let bobs = secret_key_of(&bob);
    swap(&stage, &bobs, &fresh_key());
    alice.start();
    wait_until("alice has noticed", || alice.json(&["status"])["pending"]["key_changes"] == 1);
    wait_until("it is decided", || state(&alice) == "used");
    // The key that was proved is pinned; what was promised to it is given to no other.
    assert_eq!(known(&alice, "bob"), Some(("verified".into(), bobs.to_string())));
    let grant = invitation(&alice)["grants"][0].clone();
    assert_eq!(grant["given"], false);
    assert!(grant["trouble"].as_str().unwrap().contains("another key"), "{grant}");
    assert_eq!(alice.given("sea"), None);
}

#[test]
fn an_inviters_key_that_the_directory_swaps_is_not_the_one_in_the_link() {
    let stage = inviting();
    let mut alice = stage.peer("alice");
    let link = link(&alice, &["bob"]);
    let alices = secret_key_of(&alice);
    alice.kill();
    swap(&stage, &alices, &fresh_key());
    let bob = stage.stranger("bob");
    bob.ctl(&["up", &link]).ok();
    assert_eq!(known(&bob, "alice"), Some(("verified".into(), alices.to_string())));
    assert_eq!(bob.json(&["status"])["pending"]["key_changes"], 1);
    let error = bob.error(6, &["send", "alice", "hello"]);
    assert_eq!(error["error"]["reason"], "key_changed", "{error}");
    assert_eq!(state(&bob), "waiting");
}
