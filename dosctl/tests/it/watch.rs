//! `watch --exec`: a command for every event.

use std::{fs, path::Path, sync::mpsc::sync_channel};

use dos_protocol::{
    Timestamp,
    control::{Command, Event, EventKind, FromPeerd, SessionState},
};
use dos_testing::{PATIENCE, Signal, wait_until};

use crate::harness::{Link, Peerd, code, json, stderr, stdout};

fn say(link: &mut Link, state: SessionState) {
    link.say(FromPeerd::Event(Box::new(Event::new(Timestamp(0), EventKind::Session(state)))));
}

/// A peerd that tells of these and hangs up.
fn telling(states: &'static [SessionState]) -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        assert!(matches!(link.command(), Command::Watch { .. }));
        states.iter().for_each(|&state| say(&mut link, state));
    })
}

fn wait_for(path: &Path) {
    wait_until(&format!("{} is there", path.display()), || path.exists());
}

#[test]
fn every_event_has_its_command_in_order_with_the_line_on_its_input() {
    let states = &[SessionState::Connecting, SessionState::Online, SessionState::Offline];
    let plain = telling(states);
    let lines = stdout(&plain.run(&["watch", "--json"]));
    plain.done();
    let peerd = telling(states);
    let output = peerd.run(&["watch", "--exec", "cat >> seen; echo \"$DOSCTL_EVENT $DOSCTL_SOCKET\""]);
    // peerd is gone at last, which ends it after the commands.
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert_eq!(fs::read_to_string(peerd.path("seen")).unwrap(), lines);
    let said = format!("notice {}\n", peerd.socket().display());
    assert_eq!(stdout(&output), said.repeat(3));
    peerd.done();
}

#[test]
fn a_command_that_fails_is_told_and_the_next_event_gets_its_own() {
    let peerd = telling(&[SessionState::Connecting, SessionState::Online]);
    // It does not read its input, either.
    let output = peerd.run(&["watch", "--exec", "echo >> seen; exit 3"]);
    assert_eq!(fs::read_to_string(peerd.path("seen")).unwrap().lines().count(), 2);
    let told = "error: the command for an event of kind \"notice\" failed\ncause: exit status: 3\n";
    assert!(stderr(&output).starts_with(&told.repeat(2)), "{}", stderr(&output));
    peerd.done();
    let peerd = telling(&[SessionState::Online]);
    let output = peerd.run(&["watch", "--json", "--exec", "exit 3"]);
    let first = json(stderr(&output).lines().next().unwrap());
    assert_eq!(first["error"]["cause"], "exit status: 3");
    peerd.done();
}

#[test]
fn peerd_never_waits_for_a_slow_command() {
    let (told, all_told) = sync_channel(1);
    let peerd = Peerd::new(1, move |_, mut link: Link| {
        link.command();
        // More than the queue and every buffer on the way hold.
        for _ in 0..20_000 {
            say(&mut link, SessionState::Online);
        }
        told.send(()).unwrap();
    });
    let child = peerd.spawn(&["watch", "--exec", "test -e go || { echo > begun; while ! test -e go; do sleep 0.01; done; }; read -r line; echo \"$line\" >> seen"]);
    wait_for(&peerd.path("begun"));
    all_told.recv_timeout(PATIENCE).unwrap();
    fs::write(peerd.path("go"), "").unwrap();
    let output = child.output();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let seen = fs::read_to_string(peerd.path("seen")).unwrap();
    let lines: Vec<_> = seen.lines().map(json).collect();
    let missed = lines.iter().filter(|line| line["kind"] == "missed").map(|line| {
        let number = line["text"].as_str().unwrap().split(' ').next().unwrap();
        number.parse::<u64>().unwrap()
    });
    let missed: u64 = missed.sum();
    let shown = lines.iter().filter(|line| line["kind"] == "session").count() as u64;
    assert!(missed > 0 && shown > 1000, "{missed} {shown}");
    assert_eq!(missed + shown, 20_000, "every event is shown or counted");
    peerd.done();
}

#[test]
fn a_signal_goes_to_the_command_first() {
    for (signal, name, exit) in [(Signal::INT, "INT", 130), (Signal::TERM, "TERM", 143)] {
        let peerd = Peerd::new(1, |_, mut link: Link| {
            link.command();
            say(&mut link, SessionState::Online);
            say(&mut link, SessionState::Offline);
            assert!(link.hear().is_none());
        });
        let trap =
            format!("trap 'echo {name} >> seen; exit 1' {name}; echo > begun; while :; do sleep 0.01; done");
        let child = peerd.spawn(&["watch", "--exec", &trap]);
        wait_for(&peerd.path("begun"));
        child.signal(signal);
        let output = child.output();
        assert_eq!(code(&output), exit, "{}", stderr(&output));
        assert_eq!(fs::read_to_string(peerd.path("seen")).unwrap(), format!("{name}\n"));
        peerd.done();
    }
}
