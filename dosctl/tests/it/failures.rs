//! What goes wrong, with which exit code, and what is said about it.

use std::{fs::File, os::unix::net::UnixListener, process::Stdio};

use dos_protocol::{
    Code, WireError,
    control::{FromPeerd, Outcome},
};

use crate::harness::{Link, Peerd, code, dosctl, json, stderr, stdout};

#[test]
fn without_a_daemon_the_hint_starts_it() {
    let runtime = tempfile::tempdir().unwrap();
    let output =
        dosctl(&["--profile", "bob", "status"]).env("XDG_RUNTIME_DIR", runtime.path()).output().unwrap();
    assert_eq!(code(&output), 3);
    assert_eq!(stdout(&output), "");
    let told = stderr(&output);
    assert!(told.starts_with("error: the peerd of profile \"bob\" is not running\ncause: "), "{told}");
    assert!(told.ends_with("hint: peerd --profile bob\n"), "{told}");
}

#[test]
fn without_a_daemon_json_says_no_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    // Left over from a daemon that was killed.
    drop(UnixListener::bind(&socket).unwrap());
    let image = directory.path().join("sea.gif");
    std::fs::write(&image, "GIF89a").unwrap();
    let image = image.to_str().unwrap();
    for verb in [&["status"][..], &["view", "a/b", "-o", "-"], &["add", image], &["watch"]] {
        let output = dosctl(verb).arg("--json").arg("--socket").arg(&socket).output().unwrap();
        assert_eq!(code(&output), 3, "{verb:?}");
        assert_eq!(stdout(&output), "");
        let error = json(&stderr(&output));
        assert_eq!(error["error"]["code"], "no_daemon");
        assert_eq!(error["error"]["hint"], format!("peerd --socket {}", socket.display()));
    }
}

#[test]
fn a_socket_path_that_the_system_cannot_hold_is_told() {
    let output = dosctl(&["status", "--socket", &format!("/{}", "x".repeat(200))]).output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("longer than 107 bytes"), "{}", stderr(&output));
}

#[test]
fn every_code_of_peerd_becomes_its_exit_code() {
    for (kind, exit) in [
        (Code::Internal, 1),
        (Code::Usage, 2),
        (Code::NoDaemon, 3),
        (Code::Offline, 4),
        (Code::NotFound, 5),
        (Code::Denied, 6),
        (Code::Conflict, 7),
        (Code::Invalid, 8),
        (Code::Timeout, 9),
        (Code::Unsupported, 1),
    ] {
        let error = WireError::new(kind, "no\u{1b}[2J").caused_by("why").hint("dosctl login");
        // Without knowing why, dosctl tries the words of an older peerd.
        let times = if kind == Code::Unsupported { 2 } else { 1 };
        let failing = || {
            let answer = FromPeerd::Failed(error.clone());
            Peerd::new(times, move |_, mut link: Link| {
                link.command();
                link.say(answer.clone());
            })
        };
        let peerd = failing();
        let output = peerd.run(&["logout"]);
        assert_eq!(code(&output), exit, "{kind}");
        assert_eq!(stderr(&output), "error: no\u{fffd}[2J\ncause: why\nhint: dosctl login\n");
        peerd.done();
        let peerd = failing();
        let output = peerd.run(&["logout", "--json"]);
        assert_eq!((code(&output), stdout(&output)), (exit, String::new()), "{kind}");
        assert_eq!(json(&stderr(&output))["error"]["code"], kind.as_str());
        peerd.done();
    }
}

#[test]
fn a_peerd_that_refuses_before_it_listens_is_heard() {
    let peerd = Peerd::new(1, |_, mut link| {
        link.say(FromPeerd::Failed(WireError::new(Code::Denied, "too many commands at once")));
    });
    let output = peerd.run(&["status"]);
    assert_eq!((code(&output), stderr(&output)), (6, "error: too many commands at once\n".into()));
    peerd.done();
}

#[test]
fn a_peerd_that_goes_away_or_talks_nonsense_is_no_panic() {
    let peerd = Peerd::new(1, |_, mut link| drop(link.command()));
    let output = peerd.run(&["status"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    peerd.done();
    for answer in [FromPeerd::Data(vec![1]), FromPeerd::Done(Box::new(Outcome::Done))] {
        let peerd = Peerd::answering(answer);
        let output = peerd.run(&["status"]);
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        assert!(stderr(&output).starts_with("error: peerd gave an answer"), "{}", stderr(&output));
        peerd.done();
    }
}

#[test]
fn usage_errors_are_json_too_where_json_is_wanted() {
    let plain = dosctl(&["share", "sea", "bob"]).output().unwrap();
    assert_eq!((code(&plain), stdout(&plain)), (2, String::new()));
    assert!(stderr(&plain).ends_with("hint: dosctl share --help\n"), "{}", stderr(&plain));
    for output in [
        dosctl(&["share", "sea", "bob", "--json"]).output().unwrap(),
        dosctl(&["share", "sea", "bob"]).env("DOSCTL_JSON", "1").output().unwrap(),
        dosctl(&["--json"]).output().unwrap(),
        dosctl(&["--json", "view", "a/b"]).output().unwrap(),
    ] {
        assert_eq!(code(&output), 2);
        assert_eq!(json(&stderr(&output))["error"]["code"], "usage");
    }
    assert_eq!(code(&dosctl(&["resolve", "B", "--json"]).output().unwrap()), 8);
}

#[test]
fn help_goes_to_standard_output_unless_it_answers_a_mistake() {
    let asked = dosctl(&["--help"]).output().unwrap();
    assert_eq!((code(&asked), stderr(&asked)), (0, String::new()));
    assert!(stdout(&asked).contains("Commands:"));
    let mistaken = dosctl(&[]).output().unwrap();
    assert_eq!((code(&mistaken), stdout(&mistaken)), (2, String::new()));
    assert!(stderr(&mistaken).contains("Commands:"));
}

#[test]
fn a_full_disk_behind_standard_output_is_a_failure() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = dosctl(&["--help"]).stdout(Stdio::from(full)).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).starts_with("error: cannot write to standard output\ncause: "),
        "{}",
        stderr(&output)
    );
}
