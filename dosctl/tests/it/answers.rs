//! What is shown of answers, and where; what the environment decides.

use std::io::{BufRead, BufReader, Read};

use dos_protocol::{
    Code, Timestamp, WireError,
    control::{
        Advice, BadWay, Command, Event, EventKind, Explained, FromPeerd, How, Means, Netcheck, Outcome,
        SessionState, Status, ToPeerd, Tried, Way,
    },
    directory::Cursor,
};

use crate::harness::{Link, Peerd, code, dosctl, json, stderr, stdout};

fn status(profile: &str) -> FromPeerd {
    FromPeerd::Done(Box::new(Outcome::Status(Box::new(Status {
        profile: profile.into(),
        state: SessionState::Offline,
        id: None,
        name: None,
        server: None,
        listen: "[::]:4000".parse().unwrap(),
        address: None,
        since: Timestamp(0),
        trouble: None,
        updates: 0,
        requests: 0,
        messages: 0,
        unknown_updates: 0,
        version: "0.1.0".into(),
        state_dir: "/nowhere".into(),
        key_changes: 0,
        refused_messages: 0,
        offers: 0,
        news: 0,
        password_again: false,
        notes: Vec::new(),
    }))))
}

fn session() -> FromPeerd {
    let id = "7xKqPm2R".parse().unwrap();
    FromPeerd::Done(Box::new(Outcome::Session { id, state: SessionState::Online, replayed: 2 }))
}

#[test]
fn json_is_one_document_with_its_schema() {
    let peerd = Peerd::new(1, |_, mut link: Link| {
        assert_eq!(link.command(), Command::Login { force: true });
        link.say(session());
    });
    let output = peerd.run(&["login", "--force", "--json"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(stdout(&output), "{\"schema\":1,\"id\":\"7xKqPm2R\",\"state\":\"online\",\"replayed\":2}\n");
    peerd.done();
}

#[test]
fn a_peerd_that_still_runs_after_an_upgrade_is_asked_in_its_own_words() {
    let peerd = Peerd::new(2, |time, mut link: Link| match (time, link.hear()) {
        (0, Some(ToPeerd::Perform(command))) => {
            assert_eq!(*command, Command::Login { force: false });
            link.say(FromPeerd::Failed(WireError::new(
                Code::Unsupported,
                "this peerd does not know that command",
            )));
        }
        (1, Some(ToPeerd::Do(command))) => {
            assert_eq!(*command, Command::Login { force: false });
            link.say(session());
        }
        other => panic!("not a command: {other:?}"),
    });
    let output = peerd.run(&["login"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    peerd.done();
}

#[test]
fn every_page_of_a_listing_is_one_document() {
    let bob = crate::terminal::bob_with_sea;
    let place = move || Cursor { peer: bob().id, image: Some("sea".parse().unwrap()) };
    let peerd = Peerd::new(2, move |time, mut link: Link| {
        let Command::List(query) = link.command() else { panic!("not a listing") };
        let (after, next) = if time == 0 { (None, Some(place())) } else { (Some(place()), None) };
        assert_eq!((query.after, query.limit), (after, Some(500)));
        link.say(FromPeerd::Done(Box::new(Outcome::Page { peers: vec![bob()], next, as_of: None })));
    });
    let output = peerd.run(&["list", "--all", "--json"]);
    let page = json(&stdout(&output));
    assert_eq!(page["peers"].as_array().unwrap().len(), 1);
    assert_eq!(page["peers"][0]["images"].as_array().unwrap().len(), 2);
    assert_eq!(page["next"], serde_json::Value::Null);
    peerd.done();
}

#[test]
fn people_read_one_line_without_colour_in_a_pipe() {
    let peerd = Peerd::answering(session());
    let output = peerd.run(&["login"]);
    assert_eq!(stdout(&output), "7xKqPm2R is online; received 2 updates from while it was away\n");
    peerd.done();
}

/// What `dosctl` prints, in both forms, when peerd answers with this.
fn both_forms(args: &[&str], outcome: Outcome) -> (String, String) {
    let answer = FromPeerd::Done(Box::new(outcome));
    let peerd = Peerd::answering(answer.clone());
    let text = stdout(&peerd.run(args));
    peerd.done();
    let peerd = Peerd::answering(answer);
    let json = stdout(&peerd.run(&[args, &["--json"]].concat()));
    peerd.done();
    (text, json)
}

#[test]
fn a_transfer_tells_which_way_it_came() {
    let fetched = |way| {
        let path = "7xKqPm2R/sea".parse().unwrap();
        both_forms(
            &["fetch", "alice/sea"],
            Outcome::Fetched { path, bytes: 7_200_000, way, round_trip_us: way.map(|_| 412) },
        )
    };
    let head = "{\"schema\":1,\"image\":\"7xKqPm2R/sea\",\"bytes\":7200000";
    let direct = Way::Direct("192.0.2.7:4000".parse().unwrap());
    for (way, text, keys) in [
        (
            Some(direct),
            "fetched the sealed copy of alice/sea (7.20 MB; direct, 192.0.2.7:4000)\n",
            "\"way\":\"direct\",\"address\":\"192.0.2.7:4000\",\"round_trip_ms\":0.412",
        ),
        (
            Some(Way::Relayed),
            "fetched the sealed copy of alice/sea (7.20 MB; relayed)\n",
            "\"way\":\"relayed\",\"address\":null,\"round_trip_ms\":0.412",
        ),
        (
            None,
            "the sealed copy of alice/sea is here (7.20 MB)\n",
            "\"way\":null,\"address\":null,\"round_trip_ms\":null",
        ),
    ] {
        assert_eq!(fetched(way), (text.into(), format!("{head},{keys}}}\n")));
    }
}

#[test]
fn a_ping_tells_the_way_and_the_round_trip() {
    let pong = Outcome::Pong {
        id: "7xKqPm2R".parse().unwrap(),
        name: Some("alice".parse().unwrap()),
        way: Way::Relayed,
        round_trip_us: 1_042,
        how: None,
    };
    let (text, json) = both_forms(&["ping", "alice"], pong.clone());
    assert_eq!(text, "alice answers in 1.042 ms (relayed)\n");
    let keys = "\"id\":\"7xKqPm2R\",\"name\":\"alice\",\"way\":\"relayed\",\"address\":null";
    assert_eq!(json, format!("{{\"schema\":1,{keys},\"round_trip_ms\":1.042,\"how\":null}}\n"));
    let Outcome::Pong { id, name, round_trip_us, .. } = pong else { panic!() };
    let way = Way::Direct("192.0.2.7:4000".parse().unwrap());
    for (made, words, key) in [
        (How::Announced, "direct, 192.0.2.7:4000", "announced"),
        (How::Punched, "direct, hole punched, 192.0.2.7:4000", "punched"),
        (How::CalledBack, "direct, called back from 192.0.2.7:4000", "called_back"),
    ] {
        let pong = Outcome::Pong { id, name: name.clone(), way, round_trip_us, how: Some(made) };
        let (text, json) = both_forms(&["ping", "alice"], pong);
        assert_eq!(text, format!("alice answers in 1.042 ms ({words})\n"));
        assert!(json.ends_with(&format!("\"how\":\"{key}\"}}\n")), "{json}");
    }
}

/// What a daemon behind a router knows.
fn netcheck() -> Netcheck {
    Netcheck {
        state: SessionState::Online,
        directory: "203.0.113.1:5001".parse().ok(),
        round_trip_us: Some(12_500),
        listen: "[::]:7001".parse().unwrap(),
        reachable: true,
        announced: vec!["192.168.1.2:7001".parse().unwrap()],
        local: "192.168.1.2:7001".parse().ok(),
        seen: "192.0.2.7:40123".parse().ok(),
        advice: vec![Advice::ForwardPort],
        mapped: None,
        mapping_trouble: Some("the router does not map ports: refused".into()),
        pinhole: "[2001:db8::7]:7001".parse().ok(),
    }
}

#[test]
fn a_netcheck_tells_how_the_daemon_is_seen_and_what_would_help() {
    let (text, json) = both_forms(&["netcheck"], Outcome::Netcheck(Box::new(netcheck())));
    insta::assert_snapshot!(format!("{text}{json}"));
}

#[test]
fn an_explained_ping_tells_what_came_of_every_way() {
    let tried = |means, address: &str, how, error: Option<&str>| Tried {
        means: Some(means),
        address: address.parse().ok(),
        how,
        took_us: 3_000_250,
        error: error.map(Into::into),
        bad: None,
    };
    let bad = BadWay { why: "it brought nothing \u{1b}[2J".into(), left_s: 287 };
    let explained = Explained {
        id: "7xKqPm2R".parse().unwrap(),
        name: Some("alice".parse().unwrap()),
        online: true,
        tried: vec![
            tried(Means::Address, "192.0.2.9:4000", None, Some("refused \u{1b}[2J")),
            tried(Means::Rendezvous, "192.0.2.9:40123", Some(How::Punched), None),
            tried(Means::Rendezvous, "192.0.2.9:40123", Some(How::CalledBack), None),
            Tried { bad: Some(bad), ..tried(Means::Relay, "", None, None) },
        ],
        round_trip_us: Some(1_042),
        here: netcheck(),
        advice: vec![
            Advice::WaitForPeer,
            Advice::Nothing,
            Advice::AllowConnections,
            Advice::ForwardEither,
            Advice::UpdateDirectory,
            Advice::UpdatePeer,
            Advice::OpenFirewall,
            Advice::RelayOff,
            Advice::Unknown,
        ],
    };
    let (text, json) = both_forms(&["ping", "alice", "--explain"], Outcome::Explained(Box::new(explained)));
    insta::assert_snapshot!(format!("{text}{json}"));
}

#[test]
fn an_empty_result_is_told_beside_the_data() {
    let peerd =
        Peerd::answering(FromPeerd::Done(Box::new(Outcome::Page { peers: vec![], next: None, as_of: None })));
    let output = peerd.run(&["list"]);
    assert_eq!((code(&output), stdout(&output)), (0, String::new()));
    assert_eq!(stderr(&output), "no peers to list\n");
    peerd.done();
}

#[test]
fn the_environment_names_the_socket_and_a_flag_beats_it() {
    let peerd = Peerd::answering(status("x"));
    let output =
        dosctl(&["status"]).env("DOSCTL_SOCKET", peerd.socket()).env("DOSCTL_JSON", "true").output().unwrap();
    assert_eq!(json(&stdout(&output))["profile"], "x");
    let output =
        dosctl(&["status", "--profile", "bob"]).env("DOSCTL_SOCKET", peerd.socket()).output().unwrap();
    assert_eq!(code(&output), 3);
    peerd.done();
}

#[test]
fn a_closed_pipe_is_quiet() {
    let (gone, closed) = std::sync::mpsc::sync_channel::<()>(1);
    let peerd = Peerd::new(1, move |_, mut link| {
        link.command();
        closed.recv().unwrap();
        link.say(status("x"));
    });
    let mut child = peerd.spawn(&["status"]);
    drop(child.stdout());
    gone.send(()).unwrap();
    let output = child.output();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    peerd.done();
}

#[test]
fn events_are_shown_when_they_happen() {
    let (seen, go_on) = std::sync::mpsc::sync_channel::<()>(1);
    let peerd = Peerd::new(1, move |_, mut link| {
        assert_eq!(link.command(), Command::Watch { peers: vec![] });
        for state in [SessionState::Connecting, SessionState::Online] {
            link.say(FromPeerd::Event(Box::new(Event::new(Timestamp(0), EventKind::Session(state)))));
            go_on.recv().unwrap();
        }
    });
    let mut child = peerd.spawn(&["watch", "--json"]);
    let mut lines = BufReader::new(child.stdout());
    for state in ["connecting", "online"] {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let event = json(&line);
        assert_eq!((&event["event"], &event["state"]), (&"notice".into(), &state.into()));
        seen.send(()).unwrap();
    }
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let output = child.output();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    peerd.done();
}

#[test]
fn instances_tells_which_profiles_run() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run/dos");
    std::fs::create_dir_all(run.join("bob")).unwrap();
    std::fs::create_dir_all(run.join("no socket")).unwrap();
    std::fs::create_dir_all(home.path().join(".local/state/dos/peers/carol")).unwrap();
    let peerd = Peerd::answering(status("bob"));
    std::os::unix::fs::symlink(peerd.socket(), run.join("bob/control.sock")).unwrap();
    let output = dosctl(&["instances", "--json"])
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path().join("run"))
        .output()
        .unwrap();
    let found = json(&stdout(&output));
    let told: Vec<_> = found["instances"].as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 2, "{found}");
    assert_eq!((&told[0]["profile"], &told[0]["running"]), (&"bob".into(), &true.into()));
    assert_eq!(told[0]["state"], "offline");
    assert_eq!((&told[1]["profile"], &told[1]["running"]), (&"carol".into(), &false.into()));
    peerd.done();
}
