//! The scripts of docs/scripting.md, as they stand there, run by `sh` against real daemons.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dos_testing::{Guarded, Signal, has_program, skipped};

use crate::{
    pictures,
    stage::{Peer, Ran, Stage, program, wait_until},
};

/// Takes the script of this name out of the page and puts it in the peer's directory.
fn script(peer: &Peer, name: &str) -> PathBuf {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scripting.md");
    let page = fs::read_to_string(page).unwrap();
    let found = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|text| text.starts_with(&format!("#!/bin/sh\n# {name} ")));
    let path = peer.dir.join(name);
    fs::write(&path, found.unwrap_or_else(|| panic!("{name} is not on the page"))).unwrap();
    path
}

/// The example `jq`. A `cargo test` without a test's name builds it too.
fn stand_in_for_jq() -> PathBuf {
    program("dosctl").parent().unwrap().join("examples/jq")
}

/// Whether the scripts find a jq; tells that `test` is skipped if they do not.
fn has_jq(test: &str) -> bool {
    let has = has_program("jq") || stand_in_for_jq().exists();
    if !has {
        skipped(test, "there is no jq, and no stand-in for it: cargo build -p peerd --example jq");
    }
    has
}

fn command(peer: &Peer, script: &Path, argument: &str) -> Command {
    let programs = program("dosctl").parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Behind all others, so that a real jq is taken where there is one.
    let stand_in = stand_in_for_jq().parent().unwrap().to_owned();
    let path = [programs].into_iter().chain(std::env::split_paths(&path)).chain([stand_in]);
    let path = std::env::join_paths(path).unwrap();
    let mut command = Command::new("sh");
    command.arg(script).arg(argument).env("PATH", path).env("DOSCTL_SOCKET", peer.socket());
    command.env_remove("DOSCTL_PROFILE").current_dir(&peer.dir).stdin(Stdio::null());
    command
}

fn run(peer: &Peer, script: &Path, argument: &str) -> Ran {
    let output = command(peer, script, argument).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code(), out: output.stdout, err }
}

#[test]
fn the_stand_in_for_jq_does_what_the_scripts_want_of_it() {
    if !stand_in_for_jq().exists() {
        let name = "the_stand_in_for_jq_does_what_the_scripts_want_of_it";
        return skipped(name, "it is not built: cargo build -p peerd --example jq");
    }
    let jq = |filter: &str, input: &str| {
        let mut command = Command::new(stand_in_for_jq());
        command.args(["-r", filter]).env("APPROVE_FROM", "bob").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded::start(&mut command);
        child.stdin().write_all(input.as_bytes()).unwrap();
        let output = child.output();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let requests = r#"{"incoming": [{"from": "bob", "state": "pending", "request": "r1"},
        {"from": "carol", "state": "pending", "request": "r2"}, {"from": "bob", "state": "denied", "request": "r3"}]}"#;
    let filter = r#".incoming[] | select(.from == env.APPROVE_FROM and .state == "pending") | .request"#;
    assert_eq!(jq(filter, requests), (true, "r1\n".into()));
    assert_eq!(jq(".id", r#"{"id": "Sea \"at\" dawn"}"#), (true, "Sea \"at\" dawn\n".into()));
    assert_eq!(jq(".views", r#"{"views": 3}"#), (true, "3\n".into()));
    for (filter, input) in [(".[", "{}"), ("no_such_filter", "{}"), (".a[]", r#"{"a": 3}"#), (".", "no JSON")]
    {
        assert_eq!(jq(filter, input), (false, String::new()), "{filter}");
    }
}

#[test]
fn a_folder_is_published_and_published_again_without_harm() {
    let mut stage = Stage::new();
    let alice = stage.peer("alice");
    let publish = script(&alice, "publish-folder.sh");
    let folder = alice.dir.join("my pictures");
    fs::create_dir(&folder).unwrap();
    pictures::write(&folder.join("Sea at dawn (2).jpg"), 1);
    pictures::write(&folder.join("hill.jpg"), 2);
    run(&alice, &publish, "my pictures").ok();
    assert_eq!(run(&alice, &publish, "my pictures").ok(), "", "what is published stays as it is");
    fs::write(folder.join("notes.txt"), "no image").unwrap();
    pictures::write(&folder.join("zoo.jpg"), 3);
    let again = run(&alice, &publish, "my pictures");
    assert_eq!(String::from_utf8_lossy(&again.out), "published my pictures/zoo.jpg\n");
    assert!(again.fails(8).starts_with("skipped my pictures/notes.txt: error: "));
    let listed = alice.json(&["list", "--mine"]);
    let names: Vec<_> = listed["peers"][0]["images"].as_array().unwrap().iter().map(|i| &i["name"]).collect();
    assert_eq!(names, ["Sea at dawn (2)", "hill", "zoo"]);
    pictures::write(&folder.join("zzz.jpg"), 4);
    stage.kill_dosd();
    assert!(run(&alice, &publish, "my pictures").code.is_some_and(|code| code == 4 || code == 9));
    stage.start_dosd();
    alice.online();
    run(&alice, &publish, "my pictures").fails(8);
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"].as_array().unwrap().len(), 4);
}

#[test]
fn requests_of_one_peer_are_approved_and_what_was_shared_is_mirrored() {
    if !has_jq("requests_of_one_peer_are_approved_and_what_was_shared_is_mirrored") {
        return;
    }
    let stage = Stage::new();
    let (alice, bob, carol) = (stage.peer("alice"), stage.peer("bob"), stage.peer("carol"));
    let sea = pictures::write(&alice.dir.join("Sea at dawn.jpg"), 1);
    let hill = pictures::write(&alice.dir.join("hill.jpg"), 2);
    alice.ctl(&["add", "Sea at dawn.jpg", "hill.jpg"]).ok();
    // One waits when it begins, one comes later, and one is somebody else's.
    bob.ctl(&["request", "alice/Sea at dawn", "--views", "3"]).ok();
    carol.ctl(&["request", "alice/hill"]).ok();
    let approve = script(&alice, "approve-from.sh");
    let mut command = command(&alice, &approve, "bob");
    let mut approving = Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("the one that waited is approved", || bob.right("/Sea at dawn").is_some());
    bob.ctl(&["request", "alice/hill", "--views", "3"]).ok();
    wait_until("the one that came is approved", || bob.right("/hill").is_some());
    // The owner knows it a moment later than the viewer may.
    let waiting = || alice.json(&["requests", "--incoming"])["incoming"].as_array().map(Vec::len);
    wait_until("the owner has it from the directory", || waiting() == Some(1));
    approving.signal(Signal::INT);
    assert_eq!(approving.wait().code(), Some(130));
    let left = alice.json(&["requests", "--incoming"]);
    assert_eq!(left["incoming"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["incoming"][0]["from_name"], "carol");

    let mirror = script(&bob, "mirror-shared.sh");
    let id = alice.json(&["status"])["id"].as_str().unwrap().to_owned();
    let folder = bob.dir.join("my mirror").join(id);
    for _ in 0..2 {
        run(&bob, &mirror, "my mirror").ok();
        assert_eq!(fs::read(folder.join("Sea at dawn")).unwrap(), sea);
        assert_eq!(fs::read(folder.join("hill")).unwrap(), hill);
        assert_eq!(bob.right("/hill").unwrap().0, 2, "each costs one view, once");
    }
    fs::remove_file(folder.join("hill")).unwrap();
    alice.ctl(&["share", "hill", "bob", "--revoke"]).ok();
    wait_until("bob is told", || bob.right("/hill").is_some_and(|right| right.2 == "revoked"));
    run(&bob, &mirror, "my mirror").ok();
    assert!(!folder.join("hill").exists());
}
