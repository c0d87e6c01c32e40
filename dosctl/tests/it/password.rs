//! Passwords reach peerd from standard input or a file, and nowhere else.

use std::{
    fs,
    io::Write,
    process::{Command as Process, Output, Stdio},
};

use dos_protocol::{
    Code, JoinLink, PublicKey, Reason, WireError,
    control::{Command, FromPeerd, Outcome, SessionState},
};
use dos_testing::Guarded;

use crate::harness::{Peerd, code, json, stderr, stdout};

fn link() -> JoinLink {
    format!("dos://{}@example.org:5001", PublicKey::from([9; 32])).parse().unwrap()
}

/// Expects this command and answers it.
fn expecting(expected: Command, outcome: Outcome) -> Peerd {
    Peerd::new(1, move |_, mut peer| {
        assert_eq!(peer.command(), expected);
        peer.say(FromPeerd::Done(Box::new(outcome.clone())));
    })
}

fn with_input(peerd: &Peerd, args: &[&str], input: &str) -> Output {
    let mut process = peerd.dosctl(args);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded::start(&mut process);
    // Who is refused before anything is read closes the pipe.
    match child.stdin().write_all(input.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child.output()
}

fn online() -> Outcome {
    Outcome::Session { id: "7xKqPm2R".parse().unwrap(), state: SessionState::Online, replayed: 0 }
}

#[test]
fn a_registration_takes_its_password_from_standard_input() {
    let (id, name) = ("7xKqPm2R".parse().unwrap(), Some("alice".parse().unwrap()));
    let password = Some("correct horse".parse().unwrap());
    let command = Command::Register { server: link(), name: name.clone(), password };
    let peerd = expecting(command, Outcome::Registered { id, name, server: link(), joined: None });
    let args = ["register", "--server", &link().to_string(), "--name", "alice", "--password-stdin"];
    let output = with_input(&peerd, &args, "correct horse\nnot this\n");
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    peerd.done();
}

#[test]
fn a_login_takes_its_password_from_a_file() {
    let (server, name) = (link(), "alice".parse().unwrap());
    let command = Command::Recover { server, name, password: "correct horse".parse().unwrap(), force: false };
    let peerd = expecting(command, online());
    fs::write(peerd.path("secret"), "correct horse\r\n").unwrap();
    let link = format!("{}?invite=Ab3", link());
    let args = ["login", "--server", &link, "--name", "alice", "--password-file", "secret"];
    let output = peerd.run(&args);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "7xKqPm2R is online\n"), "{}", stderr(&output));
    peerd.done();
}

fn elsewhere() -> WireError {
    WireError::new(Code::Conflict, "another machine is signed in as alice (7xKqPm2R); nothing was changed")
        .because(Reason::Elsewhere)
        .hint("the same command with --force")
}

#[test]
fn a_script_takes_over_only_by_force() {
    let link = link().to_string();
    let args = ["login", "--server", &link, "--name", "alice", "--password-stdin"];
    for json in [false, true] {
        let peerd = Peerd::answering(FromPeerd::Failed(elsewhere()));
        let args = [if json { &["--json"][..] } else { &[] }, &args].concat();
        let output = with_input(&peerd, &args, "correct horse");
        assert_eq!(code(&output), 7, "{}", stderr(&output));
        assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
        peerd.done();
    }
    let (server, name) = (link.parse().unwrap(), "alice".parse().unwrap());
    let password = "correct horse".parse().unwrap();
    let peerd = expecting(Command::Recover { server, name, password, force: true }, online());
    let output = with_input(&peerd, &[&args[..], &["--force"]].concat(), "correct horse");
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "7xKqPm2R is online\n"), "{}", stderr(&output));
    peerd.done();
}

#[test]
fn a_password_is_set_and_removed() {
    let command = Command::SetPassword(Some("correct horse".parse().unwrap()));
    let peerd = expecting(command, Outcome::Done);
    let output = with_input(&peerd, &["password", "--password-stdin", "--json"], "correct horse");
    assert_eq!(stdout(&output), "{\"schema\":1,\"password\":\"set\"}\n", "{}", stderr(&output));
    peerd.done();
    let peerd = expecting(Command::SetPassword(None), Outcome::Done);
    let output = peerd.run(&["password", "--remove"]);
    assert_eq!(stdout(&output), "the password is removed\n", "{}", stderr(&output));
    peerd.done();
}

#[test]
fn what_is_no_password_never_reaches_peerd() {
    let peerd = Peerd::new(0, |_, _| ());
    for input in ["", "short", "1234567\n", &"x".repeat(5000)] {
        let output = with_input(&peerd, &["password", "--password-stdin", "--json"], input);
        assert_eq!(code(&output), 8, "{}", stderr(&output));
        assert!(
            json(&stderr(&output))["error"]["message"].as_str().unwrap().starts_with("a password has at")
        );
    }
    let output = peerd.run(&["password", "--password-file", "missing"]);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    let link = link().to_string();
    let output = with_input(&peerd, &["register", "--server", &link, "--password-stdin"], "correct horse");
    assert_eq!(code(&output), 2, "a password needs a name: {}", stderr(&output));
    let output = with_input(&peerd, &["login", "--password-stdin"], "correct horse");
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    peerd.done();
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_hint_says_what_else_there_is() {
    let peerd = Peerd::new(0, |_, _| ());
    let dosctl = peerd.dosctl(&["password"]);
    // A session of its own has no terminal, whatever this test was started from.
    let mut process = Process::new("setsid");
    process.arg("--wait").arg(dosctl.get_program()).args(dosctl.get_args()).stdin(Stdio::null());
    let output = process.output().unwrap();
    assert_eq!(code(&output), 2);
    let told = stderr(&output);
    assert!(told.contains("no terminal") && told.contains("--password-stdin"), "{told}");
    peerd.done();
}
