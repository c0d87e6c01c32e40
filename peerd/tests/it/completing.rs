//! What a shell completes, played in bash.

use std::process::Command;

use dos_testing::{has_program, skipped};

use crate::{
    pictures,
    stage::{Peer, Stage, program, wait_until},
};

/// What bash offers for the last word of a command line.
fn offered(peer: &Peer, line: &[&str]) -> Vec<String> {
    let script = r#"source <("$0" completions bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _clap_complete_dosctl dosctl "${@: -1}"; printf '%s\n' "${COMPREPLY[@]}""#;
    let programs = program("dosctl").parent().unwrap().to_owned();
    let mut path = programs.into_os_string();
    path.push(":/usr/bin:/bin");
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script]).arg(program("dosctl")).arg("dosctl").args(line);
    command.env_clear().env("PATH", path).env("DOSCTL_SOCKET", peer.socket());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap().lines().map(str::trim).map(Into::into).collect()
}

#[test]
fn a_shell_completes_what_there_is() {
    if !has_program("bash") {
        return skipped("a_shell_completes_what_there_is", "there is no bash");
    }
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    for (number, name) in [(1, "sea.jpg"), (2, "dune.jpg"), (3, "the sea.jpg")] {
        pictures::write(&alice.dir.join(name), number);
        alice.ctl(&["add", name]).ok();
    }
    alice.ctl(&["group", "friends", "--add", "bob"]).ok();
    bob.ctl(&["request", "alice/sea"]).ok();
    wait_until("it is here", || alice.json(&["status"])["pending"]["requests"] == 1);
    assert_eq!(offered(&alice, &["share", "se"]), ["sea"]);
    assert_eq!(offered(&alice, &["share", "sea", "--to", "bob,@f"]), ["bob,@friends"]);
    assert_eq!(offered(&alice, &["approve", ""]).first().map(String::as_str), Some("1"));
    assert_eq!(offered(&bob, &["view", "alice/d"]), ["alice/dune"]);
    assert_eq!(offered(&bob, &["view", "alice/t"]), ["'alice/the sea'"]);
    assert_eq!(offered(&bob, &["send", "al"]), ["alice"]);
    assert!(offered(&bob, &["chec"]).contains(&"checkout".to_owned()));
    let mut bob = bob;
    bob.kill();
    assert_eq!(offered(&bob, &["view", "alice/d"]), [""], "silent");
}
