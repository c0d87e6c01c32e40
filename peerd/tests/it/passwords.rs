//! An ID moves to another machine with its password, with every right and every count, and what was lost comes back.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use dos_testing::{Guarded, Signal};
use serde_json::{Value, json};

use crate::{
    pictures,
    stage::{Peer, Ran, Stage, wait_until},
};

const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

/// Runs dosctl with this as its standard input.
fn with_input(peer: &Peer, args: &[&str], input: &str) -> Ran {
    let mut command = peer.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded::start(&mut command);
    child.stdin().write_all(input.as_bytes()).unwrap();
    let output = child.output();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code(), out: output.stdout, err }
}

fn recover(stage: &Stage, peer: &Peer, name: &str, password: &str) -> Ran {
    let link = stage.link();
    let args = ["--json", "login", "--server", &link, "--name", name, "--password-stdin"];
    with_input(peer, &args, &format!("{password}\n"))
}

/// A peer that has registered with [`PASSWORD`].
fn peer_with_password(stage: &Stage, name: &str) -> Peer {
    let peer = stage.stranger(name);
    let link = stage.link();
    let args = ["register", "--server", &link, "--name", name, "--password-stdin"];
    with_input(&peer, &args, PASSWORD).ok();
    peer
}

fn error_of(ran: Ran, code: i32) -> Value {
    serde_json::from_str::<Value>(ran.fails(code).trim()).unwrap()["error"].clone()
}

fn copies(peer: &Peer) -> usize {
    fs::read_dir(peer.dir.join("state/sealed")).unwrap().count()
}

#[test]
fn an_id_moves_to_a_new_machine_with_its_rights_and_exact_counts() {
    let stage = Stage::new();
    let (alice, mut old) = (stage.peer("alice"), peer_with_password(&stage, "bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "4", "--allow-offline"]).ok();
    wait_until("bob is told", || old.right("/sea").is_some());
    old.view("alice/sea");
    old.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
    assert_eq!(old.right("/sea"), Some((json!(2), 2, "active".into())));
    alice.ctl(&["request", "bob/none"]).fails(5);
    let id = old.json(&["status"])["id"].clone();
    let new = stage.stranger("elsewhere");
    let error = error_of(recover(&stage, &new, "bob", WRONG), 6);
    assert_eq!((error["code"].as_str(), error["reason"].as_str()), (Some("denied"), Some("wrong_password")));
    assert_eq!(new.json(&["status"])["state"], "unregistered");
    let session = recover(&stage, &new, "bob", PASSWORD).json();
    assert_eq!((session["id"].clone(), session["state"].as_str()), (id.clone(), Some("online")));
    assert_eq!(new.right("/sea"), Some((json!(2), 2, "active".into())), "known when the command is done");
    wait_until("the copy is fetched again", || copies(&new) == 1);
    assert_eq!(new.view("alice/sea"), original);
    assert_eq!(new.right("/sea"), Some((json!(1), 3, "active".into())));
    wait_until("alice has the receipt", || alice.given("/sea").is_some_and(|right| right.1 == 3));
    new.ctl(&["view", "alice/sea", "--offline", "-o", "x"]).fails(6);
    // The old machine has lost it: told, offline, and not coming back.
    wait_until("the old machine is offline", || old.json(&["status"])["state"] == "offline");
    let trouble = old.json(&["status"])["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("recovered with its password"), "{trouble}");
    // What it took along it has; nothing else.
    old.ctl(&["view", "alice/sea", "-o", "x"]).ok();
    old.ctl(&["view", "alice/sea", "-o", "y"]).fails(4);
    for force in [&["login"][..], &["login", "--force"]] {
        let told = old.ctl(force).fails(5);
        assert!(told.contains("does not know the key of this machine"), "{told}");
    }
    old.restart();
    assert_eq!(old.json(&["status"])["state"], "offline");
    assert_eq!(new.json(&["status"])["state"], "online");
    error_of(recover(&stage, &new, "bob", PASSWORD), 7);
    let mode = fs::metadata(new.dir.join("state/identity.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut new = new;
    new.restart();
    new.online();
    assert_eq!(new.view("alice/sea"), original);
    let logs = [fs::read_to_string(stage.path("dosd.log")).unwrap(), old.log(), new.log()].concat();
    assert!(!logs.contains("horse battery"), "a password is in a log");
}

#[test]
fn images_whose_originals_stayed_behind_say_so_and_are_added_anew_under_the_same_rights() {
    let stage = Stage::new();
    let (alice, mut old) = (stage.peer("alice"), peer_with_password(&stage, "bob"));
    pictures::write(&old.dir.join("hill.jpg"), 2);
    old.ctl(&["add", "hill.jpg"]).ok();
    old.ctl(&["add", "hill.jpg", "--name", "spare"]).ok();
    old.ctl(&["share", "hill", "alice", "--views", "3"]).ok();
    wait_until("alice is told", || alice.right("/hill").is_some());
    alice.view("bob/hill");
    wait_until("bob has the receipt", || old.given("/hill").is_some_and(|right| right.1 == 1));
    old.kill();
    let new = stage.stranger("elsewhere");
    recover(&stage, &new, "bob", PASSWORD).json();
    assert_eq!(new.given("/hill"), Some((json!(2), 1, "active".into())));
    for args in
        [&["share", "hill", "alice", "--add", "1"][..], &["view", "hill", "-o", "x"], &["fetch", "hill"]]
    {
        let error = &new.error(5, args)["error"];
        assert!(error["message"].as_str().unwrap().contains("is not on this machine"), "{error}");
        assert_eq!(error["hint"], "dosctl add FILE --name hill --replace");
    }
    pictures::write(&new.dir.join("new.jpg"), 3);
    let conflict = &new.error(7, &["add", "new.jpg", "--name", "hill"])["error"];
    assert!(conflict["hint"].as_str().unwrap().contains("--replace"), "{conflict}");
    let carol = stage.peer("carol");
    let asked = carol.json(&["request", "bob/hill"])["request"].to_string();
    wait_until("bob is asked", || new.json(&["requests"])["incoming"].as_array().unwrap().len() == 1);
    assert!(new.ctl(&["approve", &asked]).fails(5).contains("is not on this machine"));
    new.ctl(&["rename", "hill", "mountain"]).ok();
    let content = fs::read(new.dir.join("new.jpg")).unwrap();
    new.ctl(&["add", "new.jpg", "--name", "mountain", "--replace"]).ok();
    assert_eq!(alice.view("bob/mountain"), content);
    wait_until("one view is left", || alice.right("/mountain").is_some_and(|right| right.0 == 1));
    assert_eq!(alice.right("/mountain"), Some((json!(1), 2, "active".into())));
    new.ctl(&["approve", &asked]).ok();
    wait_until("carol may view", || carol.right("/mountain").is_some());
    assert_eq!(carol.view("bob/mountain"), content);
    new.ctl(&["remove", "spare"]).ok();
    assert_eq!(new.json(&["list", "--mine"])["peers"][0]["images"].as_array().unwrap().len(), 1);
}

#[test]
fn three_wrong_passwords_lock_the_password_but_not_the_key_and_say_when_to_try_again() {
    let stage = Stage::new();
    let (bob, new) = (peer_with_password(&stage, "bob"), stage.stranger("elsewhere"));
    let unknown = error_of(recover(&stage, &new, "nobody", WRONG), 6);
    for _ in 0..3 {
        assert_eq!(error_of(recover(&stage, &new, "bob", WRONG), 6), unknown);
    }
    let locked = error_of(recover(&stage, &new, "bob", PASSWORD), 6);
    assert_eq!(locked["reason"], "locked");
    assert!(locked["message"].as_str().unwrap().contains("try again in"), "{locked}");
    assert!((1..=60_000).contains(&locked["retry_after_ms"].as_u64().unwrap()), "{locked}");
    bob.ctl(&["logout"]).ok();
    bob.ctl(&["login"]).ok();
    assert_eq!(
        with_input(&bob, &["--json", "password", "--password-stdin"], WRONG).json()["password"],
        "set"
    );
    assert_eq!(bob.json(&["password", "--remove"])["password"], "removed");
}

fn copy_dir(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn a_daemon_restored_from_an_old_backup_believes_what_the_directory_says() {
    let stage = Stage::new();
    let (alice, mut bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    for name in ["sea", "gone", "taken"] {
        alice.ctl(&["add", "sea.jpg", "--name", name]).ok();
        alice.ctl(&["share", name, "bob", "--views", "3", "--allow-offline"]).ok();
    }
    alice.ctl(&["add", "sea.jpg", "--name", "later"]).ok();
    wait_until("bob is told", || bob.right("/taken").is_some());
    bob.ctl(&["request", "alice/later"]).ok();
    bob.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
    bob.peerd.take().unwrap().signal(Signal::TERM);
    copy_dir(&bob.dir.join("state"), &bob.dir.join("backup"));
    bob.start();
    bob.online();
    bob.ctl(&["view", "alice/sea", "--offline", "-o", "x.jpg"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    alice.ctl(&["remove", "gone"]).ok();
    alice.ctl(&["share", "taken", "bob", "--revoke"]).ok();
    let asked = alice.json(&["requests"])["incoming"][0]["request"].to_string();
    alice.ctl(&["approve", &asked, "--views", "2"]).ok();
    wait_until("bob is told", || bob.right("/later").is_some());
    bob.peerd.take().unwrap().signal(Signal::TERM);
    copy_dir(&bob.dir.join("backup"), &bob.dir.join("state"));
    bob.start();
    bob.online();
    wait_until("the rights are as they are", || bob.right("/later").is_some());
    wait_until("what is gone has ended", || bob.right("/gone").is_some_and(|right| right.2 == "revoked"));
    assert_eq!(bob.right("/taken").unwrap().2, "revoked");
    assert_eq!(bob.right("/sea"), Some((json!(1), 2, "active".into())));
    let outgoing = bob.json(&["requests", "--outgoing"])["outgoing"].clone();
    assert_eq!(outgoing, json!([]), "it was answered");
    bob.ctl(&["view", "alice/sea", "--offline", "-o", "y.jpg"]).fails(6);
    assert_eq!(bob.view("alice/later"), original);
}
