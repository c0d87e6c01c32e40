//! A blocked peer with the real programs, and one of its own making that remembers the blocker's address.

use std::time::Duration;

use dos_protocol::{
    MessageId, PublicKey, Timestamp,
    frame::{self, Reader},
    key::SecretKey,
    peer::{DirectMessage, FromPeer, ToPeer},
    tls::{Alpn, ClientTls, Stream},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, runtime::Runtime, time::timeout};

use super::strangers::{copies, publish};
use crate::{
    messages::Following,
    stage::{PATIENCE, Peer, Stage, wait_until},
    trust::{grant, secret, secret_key_of},
};

/// A connection to a daemon at an address that is remembered, by a program of the attacker's own.
struct Caller {
    runtime: Runtime,
    stream: Reader<Stream<TcpStream>>,
}

impl Caller {
    fn connect(secret: &SecretKey, key: PublicKey, address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let tls = ClientTls::new(secret, key, Alpn::Peer).unwrap();
            Reader::new(tls.connect(TcpStream::connect(address).await.unwrap()).await.unwrap())
        });
        Self { runtime, stream }
    }

    fn ask(&mut self, request: &ToPeer) -> Option<FromPeer> {
        let frame = frame::to_frame(request).unwrap();
        self.runtime.block_on(async {
            drop(self.stream.get_mut().write_all(&frame).await);
            drop(self.stream.get_mut().flush().await);
        });
        self.answer()
    }

    /// What comes, or nothing when the connection ends.
    fn answer(&mut self) -> Option<FromPeer> {
        let next = self.runtime.block_on(async { timeout(PATIENCE, self.stream.next()).await });
        let body = next.expect("the connection stays open").ok().flatten()?;
        Some(frame::decode(&body).unwrap())
    }
}

fn listen(peer: &Peer) -> String {
    peer.json(&["status"])["listen"].as_str().unwrap().to_owned()
}

/// Alice and mallory have dealt with each other and granted views to each other. Alice's daemon has fetched mallory's image,
/// mallory's only one of hers.
struct Scene {
    stage: Stage,
    alice: Peer,
    mallory: Peer,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new();
        let alice = stage.peer("alice");
        let manual = ["--listen", "127.0.0.1:0", "--auto-fetch", "false"];
        let mallory = stage.peer_in("mallory", None, &manual);
        publish(&mallory, "bait", 7);
        alice.ctl(&["send", "mallory", "hello"]).ok();
        mallory.ctl(&["share", "bait", "alice", "--views", "3"]).ok();
        wait_until("alice fetches what a contact shares", || copies(&alice) == 1);
        for (name, seed) in [("sea", 1), ("hill", 2)] {
            publish(&alice, name, seed);
            alice.ctl(&["share", name, "mallory", "--views", "3"]).ok();
        }
        wait_until("mallory is told", || mallory.right("/hill").is_some());
        mallory.ctl(&["fetch", "alice/sea"]).ok();
        Self { stage, alice, mallory }
    }
}

/// Every event up to the share of this peer.
fn events_until(watching: &mut Following, name: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..100 {
        let event = watching.next();
        let is_last = event["event"] == "grant" && event["owner_name"] == name;
        events.push(event);
        if is_last {
            return events;
        }
    }
    panic!("{name} has shared nothing: {events:?}");
}

#[test]
fn nothing_of_a_blocked_peer_arrives_and_what_counts_is_right_when_the_blocker_asks() {
    let Scene { stage, alice, mallory } = Scene::new();
    let served = || mallory.log().matches("served a sealed copy").count();
    let carol = stage.peer("carol");
    alice.ctl(&["send", "carol", "hello"]).ok();
    let mallorys = mallory.json(&["status"])["id"].as_str().unwrap().to_owned();
    alice.ctl(&["block", "mallory"]).ok();
    let before = served();
    assert_eq!(before, 1);
    let mut watching = Following::start(&alice, &["--json", "watch"]);
    watching.event("notice");

    // Whatever mallory does: it is refused, seems to go to a peer that is away, or is done and not told.
    publish(&mallory, "new", 8);
    let denied = mallory.error(6, &["share", "new", "alice", "--views", "1"]);
    assert_eq!(denied["error"]["message"], "alice takes nothing from you");
    for refused in [&["send", "alice", "hello"][..], &["request", "alice/hill"]] {
        assert_eq!(mallory.error(6, refused)["error"]["reason"], "blocked");
    }
    for away in [&["ping", "alice"][..], &["send", "alice", "psst", "--direct"], &["fetch", "alice/hill"]] {
        assert_eq!(mallory.error(4, away)["error"]["code"], "offline", "{away:?}");
    }
    let seen = mallory.json(&["resolve", "alice"]);
    assert_eq!((&seen["online"], &seen["address"]), (&json!(false), &Value::Null));
    assert_eq!(mallory.json(&["broadcast", "hello"])["told"], 1, "only carol");
    mallory.view("alice/sea");
    mallory.ctl(&["share", "bait", "alice", "--add", "1"]).ok();
    mallory.ctl(&["rename", "bait", "words"]).ok();
    mallory.ctl(&["add", "new.jpg", "--name", "words", "--replace"]).ok();

    // Carol's share comes after all that; between, there is nothing.
    publish(&carol, "cliff", 3);
    carol.ctl(&["share", "cliff", "alice", "--views", "1"]).ok();
    wait_until("what a contact shares is fetched", || copies(&alice) >= 2);
    let events = events_until(&mut watching, "carol");
    let of_mallory: Vec<_> = events.iter().filter(|event| event.to_string().contains(&mallorys)).collect();
    assert_eq!(of_mallory, <[&Value; 0]>::default());
    assert_eq!((served(), alice.json(&["status"])["pending"]["messages"].clone()), (before, json!(0)));

    // When she asks, she gets what is: the counts, the new name, and the view with the copy that it takes.
    assert_eq!(alice.given("/sea"), Some((json!(2), 1, "active".into())));
    assert_eq!(alice.right("/words"), Some((json!(4), 0, "active".into())));
    assert_eq!(served(), before);
    alice.view("mallory/words");
    wait_until("she has fetched what she has asked for", || served() == before + 1);
    mallory.ctl(&["share", "words", "alice", "--revoke"]).ok();
    assert_eq!(alice.error(6, &["view", "mallory/words", "-o", "x"])["error"]["reason"], "revoked");
    assert_eq!(alice.right("/words").map(|(.., state)| state), Some("revoked".into()));
}

#[test]
fn a_program_that_remembers_the_address_gets_no_answer_and_a_connection_that_is_open_ends() {
    let Scene { stage, alice, mallory } = Scene::new();
    let (own, key, address) = (secret(&mallory), secret_key_of(&alice), listen(&alice));
    let carol = stage.peer("carol");
    let mut open = Caller::connect(&own, key, &address);
    assert_eq!(open.ask(&ToPeer::Ping), Some(FromPeer::Pong));
    let other = Caller::connect(&secret(&carol), key, &address).ask(&ToPeer::Ping);
    assert_eq!(other, Some(FromPeer::Pong));
    alice.ctl(&["block", "mallory"]).ok();
    assert_eq!(open.answer(), None, "an open connection is cut");
    let message = DirectMessage {
        message: MessageId::generate(),
        sent_at: Timestamp::now().before(Duration::from_secs(1)),
        text: "psst".into(),
    };
    for request in [ToPeer::Ping, ToPeer::Fetch(grant(&stage)), ToPeer::Message(message)] {
        assert_eq!(Caller::connect(&own, key, &address).ask(&request), None, "{request:?}");
    }
    assert_eq!(alice.json(&["requests"])["contacts"], json!([]));
    let mut caller = Caller::connect(&secret(&carol), key, &address);
    assert_eq!(caller.ask(&ToPeer::Ping), Some(FromPeer::Pong), "others are answered");
    alice.ctl(&["unblock", "mallory"]).ok();
    assert_eq!(Caller::connect(&own, key, &address).ask(&ToPeer::Ping), Some(FromPeer::Pong));
}

#[test]
fn the_blocker_begins_nothing_with_a_blocked_peer_and_its_revocations_go_through() {
    let Scene { stage, alice, mallory } = Scene::new();
    mallory.ctl(&["request", "alice/sea", "--views", "2"]).ok();
    alice.ctl(&["request", "mallory/bait", "--views", "2"]).ok();
    alice.ctl(&["block", "mallory"]).ok();
    publish(&alice, "other", 5);
    for begun in [
        &["send", "mallory", "hello"][..],
        &["send", "mallory", "psst", "--direct"],
        &["ping", "mallory"],
        &["request", "mallory/bait"],
        &["share", "other", "mallory", "--views", "1"],
    ] {
        let error = alice.error(6, begun)["error"].clone();
        assert_eq!(
            (&error["message"], &error["reason"]),
            (&json!("you have blocked mallory"), &json!("blocked"))
        );
        assert_eq!(error["hint"], "dosctl unblock mallory", "{begun:?}");
    }
    for peer in [&alice, &mallory] {
        let pending = || peer.json(&["requests"]);
        wait_until("no request is pending", || {
            let pending = pending();
            pending["incoming"] == json!([]) && pending["outgoing"] == json!([])
        });
    }
    alice.ctl(&["share", "sea", "mallory", "--revoke"]).ok();
    wait_until("mallory is told", || mallory.right("/sea").is_some_and(|right| right.2 == "revoked"));

    // While the two are silent, each changes something; unblocked, both have it.
    alice.ctl(&["rename", "hill", "mountain"]).ok();
    mallory.ctl(&["share", "bait", "alice", "--views", "9"]).ok();
    assert!(mallory.right("/mountain").is_none());
    alice.ctl(&["unblock", "mallory"]).ok();
    wait_until("mallory has the new name", || mallory.right("/mountain").is_some());
    wait_until("alice has the views", || alice.right("/bait") == Some((json!(9), 0, "active".into())));
    mallory.ctl(&["send", "alice", "again"]).ok();
    stage.is_sound();
}
