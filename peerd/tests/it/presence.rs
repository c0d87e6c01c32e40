//! Who is where, as people see it: `watch`, one live session per ID, and peers that are sent away for being idle.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use dos_testing::{Guarded, Signal};
use serde_json::{Value, json};

use crate::stage::{Peer, Stage, wait_until};

/// A `watch` that runs until the end of the test.
pub(crate) struct Watch {
    child: Guarded,
    lines: Arc<Mutex<Vec<Value>>>,
    reading: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begun: what happens from now on is seen.
    pub(crate) fn begin(peer: &Peer, whom: &[&str]) -> Self {
        let args = [&["--json", "watch"], whom].concat();
        let mut command = peer.command(&args);
        let mut child = Guarded::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let out = BufReader::new(child.stdout());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let reading = thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                seen.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let watch = Self { child, lines, reading: Some(reading) };
        watch.until("watch has begun", |line| line["kind"] == "session");
        watch
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_until(what, || {
            found = self.lines.lock().unwrap().iter().find(|line| wanted(line)).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for a change of this peer, and forgets what came before it.
    #[track_caller]
    fn presence(&self, of: &str, online: bool, reason: Option<&str>) -> Value {
        let wanted = |line: &Value| {
            line["event"] == "presence"
                && line["name"] == of
                && line["online"] == online
                && line["last_seen_reason"].as_str() == reason
        };
        let found = self.until(&format!("{of} is online: {online}, {reason:?}"), wanted);
        let mut lines = self.lines.lock().unwrap();
        let at = lines.iter().position(wanted).unwrap();
        lines.drain(..=at);
        found
    }

    fn saw(&self, wanted: impl Fn(&Value) -> bool) -> bool {
        self.lines.lock().unwrap().iter().any(wanted)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Its end is that of the reading.
        drop(self.child.try_signal(Signal::KILL));
        drop(self.reading.take().map(JoinHandle::join));
    }
}

fn state(peer: &Peer) -> String {
    peer.json(&["status"])["state"].as_str().unwrap().to_owned()
}

#[test]
fn watch_tells_who_comes_and_goes_and_of_named_peers_alone_if_asked() {
    let mut stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    let id = bob.json(&["status"])["id"].clone();
    let everybody = Watch::begin(&alice, &[]);
    let bobs = Watch::begin(&alice, &["bob"]);
    carol.ctl(&["logout"]).ok();
    bob.ctl(&["logout"]).ok();
    for watch in [&everybody, &bobs] {
        let line = watch.presence("bob", false, Some("signed_out"));
        assert_eq!((&line["id"], &line["address"], &line["schema"]), (&id, &Value::Null, &json!(1)));
    }
    let listed = alice.json(&["resolve", "bob"]);
    assert_eq!((&listed["online"], &listed["last_seen_reason"]), (&json!(false), &json!("signed_out")));
    bob.ctl(&["login"]).ok();
    let line = bobs.presence("bob", true, None);
    assert_eq!(line["address"], bob.json(&["status"])["address"]);
    everybody.presence("bob", true, None);
    // The subscription is made anew with every session.
    stage.kill_dosd();
    stage.start_dosd();
    alice.online();
    bob.online();
    wait_until("alice has subscribed again", || {
        bob.ctl(&["logout"]).ok();
        bob.ctl(&["login"]).ok();
        [&bobs, &everybody].iter().all(|watch| watch.saw(|line| line["last_seen_reason"] == "signed_out"))
    });
    assert!(!bobs.saw(|line| line["name"] == "carol"), "carol is not bob");
    assert_eq!(alice.error(5, &["watch", "nobody-at-all"])["error"]["code"], "not_found");
}

#[test]
fn list_and_resolve_find_peers_by_presence_name_id_and_address() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let status = bob.json(&["status"]);
    let (id, address) = (status["id"].as_str().unwrap(), status["address"].as_str().unwrap());
    for named in ["bob", id, address] {
        assert_eq!(alice.json(&["resolve", named])["id"], id);
    }
    let names = |args: &[&str]| {
        let page = alice.json(args);
        let peers = page["peers"].as_array().unwrap();
        let mut names: Vec<_> = peers.iter().map(|peer| peer["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    bob.ctl(&["logout"]).ok();
    assert_eq!(names(&["list", "--online"]), ["alice"]);
    assert_eq!(names(&["list", "--since", "10m"]), ["alice", "bob"]);
    alice.error(5, &["resolve", address]);
    let text = alice.ctl(&["list"]).ok();
    assert!(text.contains("(signed out)"), "{text}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&from, &to),
            kind if kind.is_file() => drop(fs::copy(&from, &to).unwrap()),
            _ => {}
        }
    }
}

#[test]
fn of_two_daemons_with_one_id_one_is_online_and_the_loser_stays_offline() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let mut bob = stage.peer("bob");
    bob.peerd.take().unwrap().signal(Signal::TERM);
    let mut twin = Peer {
        name: "twin".into(),
        dir: stage.path("twin"),
        peerd: None,
        extra: ["--listen", "127.0.0.1:0"].map(Into::into).to_vec(),
        environment: Vec::new(),
        namespace: None,
        runtime: None,
    };
    copy(&bob.dir.join("state"), &twin.dir.join("state"));
    fs::set_permissions(twin.dir.join("state"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    bob.start();
    bob.online();
    let (watching, losing) = (Watch::begin(&alice, &["bob"]), Watch::begin(&bob, &[]));
    twin.start();
    let refused = twin.error(7, &["login"]);
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["hint"]),
        (&json!("conflict"), &json!("dosctl login --force"))
    );
    assert_eq!((state(&bob), state(&twin)), ("online".into(), "offline".into()));
    assert_eq!(twin.json(&["login", "--force"])["state"], "online");
    bob.ctl(&["wait", "--state", "offline", "--timeout", "40s"]).ok();
    losing.until("the loser is told", |line| line["event"] == "notice" && line["kind"] == "taken_over");
    losing.until("the loser is offline", |line| line["state"] == "offline");
    let now = watching.presence("bob", true, Some("taken_over"));
    assert_eq!(now["address"], twin.json(&["status"])["address"]);
    let trouble = bob.json(&["status"])["trouble"].clone();
    assert!(trouble.as_str().unwrap().contains("another daemon"), "{trouble}");
    // It does not fight: not even a restart brings it back.
    bob.restart();
    assert_eq!((state(&bob), state(&twin)), ("offline".into(), "online".into()));
    bob.error(7, &["login"]);
    assert!(!watching.saw(|line| line["event"] == "presence"), "nothing has changed since");
    assert_eq!(state(&twin), "online");
}

#[test]
fn who_is_signed_out_for_being_idle_stays_offline_until_asked_or_started_anew() {
    let stage = Stage::with(&["--idle-timeout", "2s"]);
    let mut bob = stage.peer("bob");
    let watching = Watch::begin(&bob, &[]);
    bob.ctl(&["wait", "--state", "offline", "--timeout", "40s"]).ok();
    watching.until("bob is told", |line| line["event"] == "notice" && line["kind"] == "idle");
    let trouble = bob.json(&["status"])["trouble"].clone();
    assert!(trouble.as_str().unwrap().contains("for 2s"), "{trouble}");
    let refused = bob.error(4, &["list"]);
    assert_eq!(refused["error"]["hint"], "dosctl login");
    bob.ctl(&["login"]).ok();
    bob.ctl(&["wait", "--state", "offline", "--timeout", "40s"]).ok();
    wait_until("the reason is written down", || {
        let peers = stage.operate(&["peers", "--json"]);
        let peers: Value = serde_json::from_slice(&peers.stdout).unwrap();
        peers["peers"][0]["last_seen_reason"] == "idle"
    });
    bob.restart();
    bob.online();
}
