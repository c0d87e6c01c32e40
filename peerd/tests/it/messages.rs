//! Messages between real daemons: each arrives once, in order, and where it may.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use dos_testing::{Backoff, Guarded};
use serde_json::Value;

use crate::{
    proxy::Proxy,
    stage::{PATIENCE, Peer, Stage, wait_until},
};

/// The texts of all messages that `peer` has received from others, in their order.
fn received(peer: &Peer) -> Vec<String> {
    let me = peer.json(&["status"])["id"].clone();
    let page = peer.json(&["messages", "--limit", "1000"]);
    let others = page["messages"].as_array().unwrap().iter().filter(|message| message["from"] != me);
    others.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

fn unread(peer: &Peer) -> u64 {
    peer.json(&["status"])["pending"]["messages"].as_u64().unwrap()
}

fn waiting(peer: &Peer) -> u64 {
    peer.json(&["status"])["pending"]["requests"].as_u64().unwrap()
}

/// A command whose lines come as it prints them.
pub(crate) struct Following {
    _child: Guarded,
    lines: Receiver<String>,
}

impl Following {
    pub(crate) fn start(peer: &Peer, args: &[&str]) -> Self {
        let mut child = Guarded::start(peer.command(args).stdout(Stdio::piped()));
        let out = BufReader::new(child.stdout());
        let (give, lines) = sync_channel(1000);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| give.send(line)));
        Self { _child: child, lines }
    }

    pub(crate) fn next(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("no line comes");
        serde_json::from_str(&line).unwrap()
    }

    /// The next line that tells of this event.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            if event["event"] == name {
                return event;
            }
        }
    }
}

#[test]
fn a_message_to_an_online_peer_is_delivered_and_to_nobody_not_found() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let id = bob.json(&["status"])["id"].clone();
    let address = bob.json(&["status"])["address"].as_str().unwrap().to_owned();
    let sent = alice.json(&["send", "bob", "by name"]);
    assert_eq!((&sent["state"], &sent["to"], &sent["to_name"]), (&"delivered".into(), &id, &"bob".into()));
    assert_eq!(unread(&bob), 1, "delivered means that it is there");
    assert_eq!(alice.json(&["send", id.as_str().unwrap(), "by ID"])["state"], "delivered");
    assert_eq!(alice.json(&["send", &address, "by address"])["state"], "delivered");
    let page = bob.json(&["messages"]);
    let first = &page["messages"][0];
    assert_eq!((&first["message"], &first["to"], &first["text"]), (&sent["message"], &id, &"by name".into()));
    assert_eq!(
        (&first["direct"], &first["broadcast"], &first["read"]),
        (&false.into(), &false.into(), &false.into())
    );
    assert_eq!((&first["from_name"], &first["to_name"]), (&"alice".into(), &"bob".into()));
    assert_eq!(received(&bob), ["by name", "by ID", "by address"]);
    assert_eq!(
        alice.json(&["messages"])["messages"].as_array().unwrap().len(),
        3,
        "the sender keeps them too"
    );
    for nobody in ["carol", "7xKqPm2R", "192.0.2.1:9"] {
        let error = alice.error(5, &["send", nobody, "hello?"]);
        assert_eq!(error["error"]["code"], "not_found", "{nobody}");
    }
    alice.ctl(&["send", "alice", "me"]).fails(8);
    alice.ctl(&["send", "bob", "  "]).fails(8);
    alice.ctl(&["send", "bob", &"x".repeat((16 << 10) + 1)]).fails(8);
    alice.ctl(&["logout"]).ok();
    alice.ctl(&["send", "bob", "hello?"]).fails(4);
}

#[test]
fn messages_to_an_absent_peer_come_once_and_in_order_when_it_signs_in() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.ctl(&["logout"]).ok();
    let texts: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    for text in &texts {
        assert_eq!(alice.json(&["send", "bob", text])["state"], "queued");
    }
    assert_eq!(bob.json(&["login"])["replayed"], 10);
    wait_until("bob has all", || unread(&bob) == 10);
    bob.restart();
    bob.online();
    assert_eq!(received(&bob), texts);
    assert_eq!(unread(&bob), 0, "shown means read, also after a restart");
}

#[test]
fn a_text_comes_from_standard_input_when_it_is_not_given() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let mut command = alice.command(&["send", "bob"]);
    let mut child = Guarded::start(command.stdin(Stdio::piped()).stdout(Stdio::null()));
    child.stdin().write_all(b"first\nsecond \x1b[2J\n").unwrap();
    assert!(child.wait().success());
    let shown = bob.ctl(&["messages"]).ok();
    assert!(shown.contains("alice to bob: first\n  | second \u{fffd}[2J\n"), "{shown}");
    assert_eq!(received(&bob), ["first\nsecond \u{1b}[2J"], "JSON has it as it is");
}

#[test]
fn what_was_shown_is_read_and_the_rest_is_not() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    for number in 0..25 {
        alice.ctl(&["send", "bob", &format!("a{number}")]).ok();
    }
    carol.ctl(&["send", "bob", "c"]).ok();
    bob.ctl(&["send", "carol", "yes?"]).ok();
    let with = bob.json(&["messages", "--with", "carol"]);
    let texts: Vec<&str> = with["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["c", "yes?"]);
    assert_eq!(unread(&bob), 25);
    let first = bob.json(&["messages", "--unread", "--limit", "5"]);
    assert_eq!(first["messages"][0]["text"], "a0");
    assert_eq!(unread(&bob), 20);
    // The last twenty: eighteen of Alice's, and two that are read.
    bob.ctl(&["messages"]).ok();
    assert_eq!(unread(&bob), 2);
    let rest = bob.json(&["messages", "--unread"]);
    assert_eq!((&rest["messages"][0]["text"], &rest["messages"][1]["text"]), (&"a5".into(), &"a6".into()));
    assert_eq!(bob.json(&["messages", "--unread"])["messages"], Value::Array(vec![]));
    bob.ctl(&["messages", "--with", "dave"]).fails(5);
}

#[test]
fn follow_shows_messages_as_they_come_and_counts_them_as_read() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    alice.ctl(&["send", "bob", "before"]).ok();
    let mut following = Following::start(&bob, &["--json", "messages", "--follow", "--with", "alice"]);
    let mut watching = Following::start(&bob, &["--json", "watch"]);
    watching.event("notice");
    assert_eq!(following.next()["text"], "before");
    carol.ctl(&["send", "bob", "not this"]).ok();
    alice.ctl(&["send", "bob", "after"]).ok();
    let shown = following.next();
    assert_eq!((&shown["text"], &shown["schema"]), (&"after".into(), &1.into()));
    wait_until("what was followed is read", || unread(&bob) == 1);
    assert_eq!(watching.event("message")["text"], "not this");
    let event = watching.event("message");
    assert_eq!((&event["text"], &event["to_name"]), (&"after".into(), &"bob".into()));
    assert_eq!(event["message"], shown["message"]);
}

#[test]
fn a_direct_message_needs_a_relation_or_an_approval() {
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    let mut watching = Following::start(&bob, &["--json", "watch"]);
    watching.event("notice");
    let error = alice.error(6, &["send", "bob", "psst", "--direct"]);
    assert_eq!(
        (&error["error"]["code"], &error["error"]["reason"]),
        (&"denied".into(), &"not_accepted".into())
    );
    let asked = watching.event("request");
    assert_eq!((&asked["request"], &asked["kind"]), (&"c1".into(), &"contact".into()));
    assert_eq!((&asked["from_name"], &asked["state"]), (&"alice".into(), &"pending".into()));
    alice.ctl(&["send", "bob", "psst", "--direct"]).fails(6);
    carol.ctl(&["send", "bob", "psst", "--direct"]).fails(6);
    assert_eq!((waiting(&bob), unread(&bob)), (2, 0));
    assert_eq!(bob.json(&["requests"])["contacts"].as_array().unwrap().len(), 2);
    assert_eq!(bob.json(&["approve", "c1"])["state"], "approved");
    assert_eq!(bob.json(&["deny", "c2"])["state"], "denied");
    bob.ctl(&["approve", "c3"]).fails(5);
    bob.ctl(&["approve", "c1", "--views", "2"]).fails(8);
    assert_eq!(waiting(&bob), 0);
    let sent = alice.json(&["send", "bob", "psst", "--direct"]);
    assert_eq!((&sent["state"], &sent["direct"]), (&"delivered".into(), &true.into()));
    assert_eq!(sent["way"], "direct");
    let got = bob.json(&["messages"])["messages"][0].clone();
    assert_eq!(
        (&got["text"], &got["direct"], &got["message"]),
        (&"psst".into(), &true.into(), &sent["message"])
    );
    assert_eq!(carol.error(6, &["send", "bob", "psst", "--direct"])["error"]["reason"], "blocked");
    // Bob has heard from Alice, and Alice has sent to Bob: the way back is open.
    bob.ctl(&["send", "alice", "what?", "--direct"]).ok();
    assert_eq!(received(&alice), ["what?"]);
    carol.ctl(&["logout"]).ok();
    assert_eq!(alice.json(&["send", "carol", "loud"])["state"], "queued");
    let seen: Vec<u8> = ["dosd.db", "dosd.db-wal"]
        .iter()
        .flat_map(|file| std::fs::read(stage.path("dosd").join(file)).unwrap_or_default())
        .collect();
    let has = |text: &[u8]| seen.windows(text.len()).any(|window| window == text);
    assert!(!has(b"loud"), "what waits at the directory is sealed");
    assert!(!has(b"psst") && !has(b"what?"), "the directory never has what went directly");
}

#[test]
fn a_direct_message_to_an_absent_peer_fails_and_nothing_waits() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    alice.ctl(&["send", "bob", "hello"]).ok();
    bob.ctl(&["logout"]).ok();
    let error = alice.error(4, &["send", "bob", "psst", "--direct"]);
    assert_eq!(error["error"]["code"], "offline");
    assert_eq!(error["error"]["hint"], "dosctl send bob TEXT");
    bob.restart();
    assert_eq!(bob.json(&["login"])["replayed"], 0);
    assert_eq!(received(&bob), ["hello"]);
    alice.ctl(&["send", "bob", "psst", "--direct"]).ok();
    assert_eq!(received(&bob), ["hello", "psst"]);
}

#[test]
fn a_broadcast_reaches_everybody_who_is_online_and_has_not_blocked_its_sender() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let (carol, dave) = (stage.peer("carol"), stage.peer("dave"));
    carol.ctl(&["block", "alice"]).ok();
    dave.ctl(&["logout"]).ok();
    assert_eq!(alice.json(&["broadcast", "lunch?"])["told"], 1);
    wait_until("bob hears it", || unread(&bob) == 1);
    let message = bob.json(&["messages"])["messages"][0].clone();
    assert_eq!((&message["to"], &message["broadcast"]), (&Value::Null, &true.into()));
    assert_eq!(message["text"], "lunch?");
    assert_eq!((received(&carol), received(&dave)), (vec![], vec![]));
    assert_eq!(dave.json(&["login"])["replayed"], 0);
    let limited = (0..10).map(|_| alice.ctl(&["broadcast", "again"]).code).find(|code| *code != Some(0));
    assert_eq!(limited, Some(Some(6)), "nobody can go on for ever");
}

#[test]
fn a_blocked_peer_reaches_nobody_and_sees_nobody_until_it_is_unblocked() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    crate::pictures::write(&bob.dir.join("sea.jpg"), 1);
    bob.ctl(&["add", "sea.jpg"]).ok();
    bob.ctl(&["share", "sea", "alice", "--views", "2"]).ok();
    alice.ctl(&["request", "bob/sea", "--views", "9"]).ok();
    alice.ctl(&["send", "bob", "one"]).ok();
    wait_until("bob is asked", || waiting(&bob) == 1);
    let blocked = bob.json(&["block", "alice"]);
    assert_eq!((&blocked["name"], &blocked["rights"]), (&"alice".into(), &1.into()));
    assert_eq!(blocked["requests_purged"], 1);
    wait_until("the request is refused", || waiting(&bob) == 0);
    let told = bob.ctl(&["block", "alice"]);
    assert!(told.err.contains("dosctl share NAME alice --revoke"), "{}", told.err);
    assert_eq!(bob.json(&["blocks"])["blocks"][0]["name"], "alice");
    let denied = alice.error(6, &["send", "bob", "two"]);
    assert_eq!(denied["error"]["reason"], "blocked");
    alice.ctl(&["send", "bob", "two", "--direct"]).fails(4);
    alice.ctl(&["request", "bob/sea"]).fails(6);
    assert_eq!(alice.json(&["resolve", "bob"])["online"], false);
    assert_eq!(alice.json(&["broadcast", "all?"])["told"], 0);
    bob.json(&["unblock", "alice"]);
    assert_eq!(bob.json(&["blocks"])["blocks"], Value::Array(vec![]));
    assert_eq!(alice.json(&["send", "bob", "two"])["state"], "delivered");
    assert_eq!(received(&bob), ["one", "two"]);
}

#[test]
fn a_new_state_directory_of_the_same_peer_learns_its_blocks_from_the_directory() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    bob.ctl(&["block", "alice"]).ok();
    bob.kill();
    for file in ["peerd.db", "peerd.db-wal", "peerd.db-shm"] {
        drop(std::fs::remove_file(bob.dir.join("state").join(file)));
    }
    bob.start();
    bob.ctl(&["login"]).ok();
    wait_until("bob knows whom it blocked", || bob.json(&["blocks"])["blocks"][0]["name"] == "alice");
    drop(alice);
}

#[test]
fn killed_daemons_lose_and_double_no_message() {
    let stage = Stage::new();
    let (mut alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let mut expected = Vec::new();
    for round in 0..8 {
        let text = format!("round {round}");
        let mut command = alice.command(&["send", "bob", &text]);
        let mut sending = Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        // Somewhere between the writing down, the sending, the storing and the answer.
        let mut moment = Backoff::within(Duration::from_millis(round * 2));
        while sending.is_running() && moment.pause() {}
        if round % 2 == 0 {
            alice.restart();
        } else {
            bob.restart();
        }
        if !sending.wait().success() {
            alice.online();
            alice.ctl(&["send", "bob", &text]).ok();
        }
        expected.push(text);
    }
    alice.online();
    bob.online();
    alice.ctl(&["send", "bob", "last"]).ok();
    expected.push("last".into());
    wait_until("the last one has come", || received(&bob).last() == expected.last());
    assert_eq!(received(&bob), expected);
}

#[test]
fn a_lost_answer_and_the_same_command_again_make_one_message() {
    let stage = Stage::new();
    let proxy = Proxy::to(stage.port());
    let bob = stage.peer("bob");
    let through_proxy = stage.link().replace(&format!(":{}", stage.port()), &format!(":{}", proxy.port()));
    let alice = stage.peer_at("alice", &through_proxy);
    let mut expected = Vec::new();
    for round in 0..10 {
        let text = format!("round {round}");
        proxy.lose_the_next_answer();
        let first = alice.ctl(&["send", "bob", &text]);
        if first.code != Some(0) {
            assert!(matches!(first.code, Some(4 | 9)), "{}", first.err);
            alice.online();
            alice.ctl(&["send", "bob", &text]).ok();
        }
        expected.push(text);
    }
    assert!(proxy.cuts() >= 5, "only {} replies were lost", proxy.cuts());
    wait_until("the last one has come", || received(&bob).last() == expected.last());
    assert_eq!(received(&bob), expected);
    let sent = alice.json(&["messages", "--limit", "100"]);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 10, "the sender has each once too");
}
