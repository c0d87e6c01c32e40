//! Strangers that share unasked: what a daemon does by itself tells them neither that it is there nor where.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use dos_testing::Signal;
use serde_json::{Value, json};

use crate::{
    messages::Following,
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// An address at which whoever connects is counted.
struct Trap {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, visits) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counting = Arc::clone(&visits);
        thread::spawn(move || {
            for visit in listener.incoming() {
                counting.fetch_add(1, Ordering::SeqCst);
                drop(visit);
            }
        });
        Self { address, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

/// A peer that announces the trap beside its own address, with an image; it fetches nothing by itself.
fn baiting(stage: &Stage, name: &str, trap: &Trap) -> Peer {
    let address = trap.address.to_string();
    let manual = ["--auto-fetch", "false"];
    let arguments = [&["--listen", "127.0.0.1:0", "--advertise", &address][..], &manual].concat();
    let peer = stage.peer_in(name, None, &arguments);
    publish(&peer, "bait", 7);
    peer
}

pub(super) fn publish(peer: &Peer, name: &str, seed: u8) {
    let file = format!("{name}.jpg");
    pictures::write(&peer.dir.join(&file), seed);
    peer.ctl(&["add", &file]).ok();
}

pub(super) fn copies(peer: &Peer) -> usize {
    fs::read_dir(peer.dir.join("state/sealed")).unwrap().count()
}

fn offers(peer: &Peer) -> u64 {
    peer.json(&["status"])["pending"]["offers"].as_u64().unwrap()
}

/// What `list` tells of access to an image of this peer.
fn access(peer: &Peer, owner: &str) -> Value {
    peer.json(&["list", owner])["peers"][0]["images"][0]["access"].clone()
}

fn received(peer: &Peer) -> Vec<Value> {
    peer.json(&["shares", "--received"])["received"].as_array().unwrap().clone()
}

/// Waits until the daemon has fetched by itself whatever it fetches: a share of `contact` that comes last is fetched, too.
fn settle(peer: &Peer, contact: &Peer, image: &str, seed: u8) {
    let before = copies(peer);
    publish(contact, image, seed);
    contact.ctl(&["share", image, &peer.name, "--views", "1"]).ok();
    wait_until("what a contact shares is fetched", || copies(peer) > before);
}

#[test]
fn a_share_of_a_stranger_is_an_offer_and_nothing_connects_before_its_user_acts() {
    let stage = Stage::new();
    let (trap, mut bob, carol) = (Trap::new(), stage.peer("bob"), stage.peer("carol"));
    let mallory = baiting(&stage, "mallory", &trap);
    bob.ctl(&["send", "carol", "hello"]).ok();
    let mut watching = Following::start(&bob, &["--json", "watch"]);
    watching.event("notice");
    mallory.ctl(&["share", "bait", "bob", "--views", "2"]).ok();
    let event = watching.event("grant");
    assert_eq!((&event["offer"], &event["owner_name"]), (&json!(true), &json!("mallory")));
    settle(&bob, &carol, "sea", 1);
    let event = watching.event("grant");
    assert_eq!((&event["offer"], &event["owner_name"]), (&json!(false), &json!("carol")));

    let shares = received(&bob);
    let told: Vec<_> =
        shares.iter().map(|share| (share["owner_name"].clone(), share["offer"].clone())).collect();
    assert!(told.contains(&(json!("mallory"), json!(true))), "{told:?}");
    assert!(told.contains(&(json!("carol"), json!(false))), "{told:?}");
    assert!(bob.ctl(&["shares", "--received"]).ok().contains("  offer"));
    assert_eq!((offers(&bob), access(&bob, "mallory")["offer"].clone()), (1, json!(true)));
    assert_eq!(access(&bob, "carol")["offer"], false);
    bob.ctl(&["preview", "mallory/bait", "-o", "small"]).ok();
    bob.restart();
    bob.online();
    settle(&bob, &carol, "hill", 2);
    assert_eq!((trap.visits(), copies(&bob)), (0, 2), "something has connected to the stranger");
    assert!(!mallory.log().contains("served a sealed copy"));

    // Looking at it is an act: the owner is a contact from then on, and what it shares next is fetched.
    assert_eq!(bob.view("mallory/bait"), fs::read(mallory.dir.join("bait.jpg")).unwrap());
    assert_eq!((offers(&bob), access(&bob, "mallory")["offer"].clone()), (0, json!(false)));
    settle(&bob, &mallory, "cliff", 3);
}

#[test]
fn every_act_towards_a_stranger_makes_it_a_contact_and_nothing_that_it_sends_does() {
    let stage = Stage::new();
    let bob = stage.peer("bob");
    publish(&bob, "own", 9);
    let acts: [&[&str]; 5] = [
        &["send", "PEER", "who are you?"],
        &["share", "own", "PEER", "--views", "1"],
        &["request", "PEER/bait"],
        &["trust", "PEER", "--accept"],
        &["fetch", "PEER/bait"],
    ];
    for (number, act) in acts.iter().enumerate() {
        let (trap, name) = (Trap::new(), format!("mallory{number}"));
        let mallory = baiting(&stage, &name, &trap);
        mallory.ctl(&["send", "bob", "hello"]).ok();
        mallory.ctl(&["request", "bob/own"]).ok();
        mallory.ctl(&["share", "bait", "bob", "--views", "1"]).ok();
        wait_until("bob has the offer", || offers(&bob) == 1);
        let contacts = bob.json(&["contacts"])["contacts"].clone();
        let known = contacts.as_array().unwrap().iter().find(|known| known["name"] == *name).cloned();
        assert!(known.is_none_or(|known| known["stranger"] == true), "{contacts}");
        let before = copies(&bob);
        assert_eq!(trap.visits(), 0);
        let act: Vec<String> = act.iter().map(|word| word.replace("PEER", &name)).collect();
        bob.ctl(&act.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        wait_until("the copy is here", || copies(&bob) == before + 1);
        assert_eq!(offers(&bob), 0, "{act:?}");
        let known = bob.json(&["contacts"])["contacts"].clone();
        assert!(
            known
                .as_array()
                .unwrap()
                .iter()
                .any(|known| known["name"] == *name && known["stranger"] == false),
            "{act:?}: {known}"
        );
    }
}

#[test]
fn a_daemon_that_refuses_strangers_lists_none_of_their_shares_and_answers_none_of_their_connections() {
    let stage = Stage::new();
    let (trap, carol) = (Trap::new(), stage.peer("carol"));
    let config = stage.path("bob.toml");
    fs::write(&config, "strangers = 'refuse'").unwrap();
    let file = config.to_str().unwrap().to_owned();
    let bob = stage.peer_in("bob", None, &["--listen", "127.0.0.1:0", "--config", &file]);
    let mallory = baiting(&stage, "mallory", &trap);
    bob.ctl(&["send", "carol", "hello"]).ok();
    let mut watching = Following::start(&bob, &["--json", "watch"]);
    watching.event("notice");
    mallory.ctl(&["share", "bait", "bob", "--views", "2"]).ok();
    settle(&bob, &carol, "sea", 1);
    let event = watching.event("grant");
    assert_eq!(event["owner_name"], "carol", "the stranger's share is no event: {event}");
    assert_eq!((received(&bob).len(), offers(&bob)), (1, 0));
    let nothing = json!({"state": "none", "views_left": 0, "expires_at": null, "offer": false});
    assert_eq!(access(&bob, "mallory"), nothing);

    // A stranger that knows the address gets nothing out of it, a contact does.
    mallory.ctl(&["ping", "bob"]).fails(4);
    mallory.ctl(&["send", "bob", "psst", "--direct"]).fails(4);
    assert_eq!(bob.json(&["requests"])["contacts"], json!([]), "nobody is asked about it");
    carol.ctl(&["ping", "bob"]).ok();
    carol.ctl(&["send", "bob", "psst", "--direct"]).ok();
    assert_eq!(trap.visits(), 0);

    // Read again, it offers what it had not listed; and refusing again, what its user wants by name is had.
    let reload = |strangers: &str, expected: u64| {
        fs::write(&config, format!("strangers = '{strangers}'")).unwrap();
        bob.peerd.as_ref().unwrap().send(Signal::HUP);
        wait_until("the setting is in force", || offers(&bob) == expected);
    };
    reload("offer", 1);
    mallory.ctl(&["ping", "bob"]).ok();
    reload("refuse", 0);
    bob.ctl(&["fetch", "mallory/bait"]).ok();
    assert_eq!(received(&bob).len(), 2);
    mallory.ctl(&["ping", "bob"]).ok();
}
