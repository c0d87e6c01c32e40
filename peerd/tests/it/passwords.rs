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
    presence::Watch,
    stage::{Peer, Ran, Stage, wait_until},
};

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const WRONG: &str = "incorrect horse battery";

/// Runs dosctl with this as its standard input.
pub(crate) fn with_input(peer: &Peer, args: &[&str], input: &str) -> Ran {
    let mut command = peer.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Guarded::start(&mut command);
    child.stdin().write_all(input.as_bytes()).unwrap();
    let output = child.output();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code(), out: output.stdout, err }
}

/// A machine logs in with a password.
pub(crate) fn log_in(stage: &Stage, peer: &Peer, name: &str, password: &str) -> Ran {
    log_in_with(stage, peer, &["--name", name], password)
}

fn log_in_with(stage: &Stage, peer: &Peer, more: &[&str], password: &str) -> Ran {
    let link = stage.link();
    let args = [&["--json", "login", "--server", &link, "--password-stdin"][..], more].concat();
    with_input(peer, &args, &format!("{password}\n"))
}

/// What stands in `identity.toml` for this key.
pub(crate) fn secret(peer: &Peer) -> String {
    let text = fs::read_to_string(peer.dir.join("state/identity.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("secret_key")).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// A peer that has registered with [`PASSWORD`].
pub(crate) fn peer_with_password(stage: &Stage, name: &str) -> Peer {
    let peer = stage.stranger(name);
    let link = stage.link();
    let args = ["register", "--server", &link, "--name", name, "--password-stdin"];
    with_input(&peer, &args, PASSWORD).ok();
    peer
}

pub(crate) fn error_of(ran: Ran, code: i32) -> Value {
    serde_json::from_str::<Value>(ran.fails(code).trim()).unwrap()["error"].clone()
}

fn copies(peer: &Peer) -> usize {
    fs::read_dir(peer.dir.join("state/sealed")).unwrap().count()
}

#[test]
fn an_id_moves_to_a_new_machine_with_its_key_its_rights_and_exact_counts_and_back() {
    let stage = Stage::new();
    let (alice, mut old) = (stage.peer("alice"), peer_with_password(&stage, "bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "4", "--allow-offline"]).ok();
    wait_until("bob is told", || old.right("/sea").is_some());
    old.view("alice/sea");
    old.ctl(&["checkout", "alice/sea", "--views", "1"]).ok();
    assert_eq!(old.right("/sea"), Some((json!(2), 2, "active".into())));
    let (id, key) = (old.json(&["status"])["id"].clone(), secret(&old));
    let mut new = stage.stranger("elsewhere");
    let error = error_of(log_in(&stage, &new, "bob", WRONG), 6);
    assert_eq!((error["code"].as_str(), error["reason"].as_str()), (Some("denied"), Some("wrong_password")));
    // While the other machine is there, it is not taken over by the way.
    let error = error_of(log_in(&stage, &new, "bob", PASSWORD), 7);
    assert_eq!((error["code"].as_str(), error["reason"].as_str()), (Some("conflict"), Some("elsewhere")));
    assert!(error["hint"].as_str().unwrap().contains("--force"), "{error}");
    assert_eq!(new.json(&["status"])["state"], "unregistered");
    assert!(!new.dir.join("state/identity.toml").exists());
    assert_eq!(old.json(&["status"])["state"], "online");
    let session = log_in_with(&stage, &new, &["--name", "bob", "--force"], PASSWORD).json();
    assert_eq!((session["id"].clone(), session["state"].as_str()), (id.clone(), Some("online")));
    assert_eq!(secret(&new), key, "the same key on both machines");
    let mode = fs::metadata(new.dir.join("state/identity.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(new.right("/sea"), Some((json!(2), 2, "active".into())), "known when the command is done");
    wait_until("the copy is fetched again", || copies(&new) == 1);
    assert_eq!(new.view("alice/sea"), original);
    assert_eq!(new.right("/sea"), Some((json!(1), 3, "active".into())));
    wait_until("alice has the receipt", || alice.given("/sea").is_some_and(|right| right.1 == 3));
    new.ctl(&["view", "alice/sea", "--offline", "-o", "x"]).fails(6);
    is_taken_over(&old);
    // What it took along it has; nothing else.
    old.ctl(&["view", "alice/sea", "-o", "x"]).ok();
    old.ctl(&["view", "alice/sea", "-o", "y"]).fails(4);
    old.restart();
    is_taken_over(&old);
    assert!(old.ctl(&["login"]).fails(7).contains("dosctl login --force"));
    assert!(old.ctl(&["status"]).ok().contains("dosctl login --force"));
    assert_eq!(new.json(&["status"])["state"], "online");
    error_of(log_in(&stage, &new, "bob", PASSWORD), 7);
    new.restart();
    new.online();
    // The old machine comes back, and knows what happened meanwhile.
    old.ctl(&["login", "--force"]).ok();
    is_taken_over(&new);
    wait_until("the old machine knows the count", || {
        old.right("/sea") == Some((json!(1), 3, "active".into()))
    });
    assert_eq!(old.view("alice/sea"), original);
    new.ctl(&["login", "--force"]).ok();
    wait_until("all are used", || new.right("/sea") == Some((json!(0), 4, "used_up".into())));
    new.ctl(&["view", "alice/sea", "-o", "z"]).fails(6);
    wait_until("alice has every receipt", || alice.given("/sea").is_some_and(|right| right.1 == 4));
}

/// Offline, and says why and what to do.
#[track_caller]
fn is_taken_over(peer: &Peer) {
    wait_until("the other machine is offline", || peer.json(&["status"])["state"] == "offline");
    let trouble = peer.json(&["status"])["trouble"].as_str().unwrap_or_default().to_owned();
    assert!(trouble.contains("taken over") && trouble.contains("dosctl login --force"), "{trouble}");
}

#[test]
fn a_password_that_is_easy_to_guess_is_refused_before_anything_happens() {
    let stage = Stage::new();
    let bob = stage.stranger("bob");
    let link = stage.link();
    let register = ["--json", "register", "--server", &link, "--name", "bob", "--password-stdin"];
    for weak in ["password1", "bob127.0.0.1", "qwertyuiop"] {
        let error = error_of(with_input(&bob, &register, weak), 8);
        assert_eq!(
            (error["code"].as_str(), error["message"].as_str()),
            (Some("invalid"), Some("the password is easy to guess"))
        );
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
        assert_eq!(bob.json(&["status"])["state"], "unregistered");
        assert!(!bob.dir.join("state/identity.toml").exists(), "it asked nothing yet");
    }
    // The invite in the link is not used up.
    with_input(&bob, &register, PASSWORD).json();
    error_of(with_input(&bob, &["--json", "password", "--password-stdin"], "password1"), 8);
    bob.ctl(&["logout"]).ok();
    log_in(&stage, &stage.stranger("elsewhere"), "bob", PASSWORD).json();
}

#[test]
fn a_removed_password_opens_nothing_any_more() {
    let stage = Stage::new();
    let (bob, new) = (peer_with_password(&stage, "bob"), stage.stranger("elsewhere"));
    assert_eq!(bob.json(&["password", "--remove"])["password"], "removed");
    assert_eq!(error_of(log_in(&stage, &new, "bob", PASSWORD), 6)["reason"], "wrong_password");
    bob.ctl(&["password", "--remove"]).ok();
    assert_eq!(bob.json(&["status"])["state"], "online");
}

#[test]
fn a_machine_that_has_lost_its_identity_file_gets_it_back_with_everything_else() {
    let stage = Stage::new();
    let (mut bob, alice) = (peer_with_password(&stage, "bob"), stage.peer("alice"));
    let original = pictures::write(&bob.dir.join("sea.jpg"), 1);
    bob.ctl(&["add", "sea.jpg"]).ok();
    bob.kill();
    fs::remove_file(bob.dir.join("state/identity.toml")).unwrap();
    bob.start();
    let link = stage.link();
    assert!(bob.ctl(&["register", "--server", &link]).fails(7).contains("dosctl login --server LINK"));
    with_input(&alice, &["password", "--password-stdin"], PASSWORD).ok();
    assert!(
        error_of(log_in(&stage, &bob, "alice", PASSWORD), 7)["message"]
            .as_str()
            .unwrap()
            .contains("another peer")
    );
    wait_until("the directory has noticed", || {
        !stage.operate(&["peers", "--online"]).stdout.windows(4).any(|window| window == b" bob")
    });
    log_in(&stage, &bob, "bob", PASSWORD).json();
    assert_eq!(bob.view("sea"), original, "its own images open: the key is the same");
}

#[test]
fn a_password_of_an_older_directory_is_asked_for_once_more() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/d608605");
    let stage = Stage::with_data(&kept.join("dosd"));
    let (bob, alice) = (
        stage.peer_with_state("bob", &kept.join("bob")),
        stage.peer_with_state("alice", &kept.join("alice")),
    );
    let watching = Watch::begin(&bob, &[]);
    for peer in [&bob, &alice] {
        peer.ctl(&["login"]).ok();
    }
    assert_eq!(alice.json(&["status"])["password_again"], false);
    assert_eq!(bob.json(&["status"])["password_again"], true);
    let once_more = "set your password once more: dosctl password";
    assert!(bob.ctl(&["status"]).ok().contains(once_more));
    watching.until("bob is told", |line| line["event"] == "notice" && line["text"] == once_more);
    let new = stage.stranger("elsewhere");
    assert_eq!(error_of(log_in(&stage, &new, "bob", PASSWORD), 6)["reason"], "wrong_password");
    with_input(&bob, &["password", "--password-stdin"], PASSWORD).ok();
    assert_eq!(bob.json(&["status"])["password_again"], false);
    bob.ctl(&["logout"]).ok();
    bob.ctl(&["login"]).ok();
    assert_eq!(bob.json(&["status"])["password_again"], false);
    bob.ctl(&["logout"]).ok();
    log_in(&stage, &new, "bob", PASSWORD).json();
    assert_eq!(secret(&new), secret(&bob));
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
    log_in(&stage, &new, "bob", PASSWORD).json();
    assert_eq!(new.given("/hill"), Some((json!(2), 1, "active".into())));
    alice.ctl(&["trust", "bob", "--accept"]).ok();
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
    let unknown = error_of(log_in(&stage, &new, "nobody", WRONG), 6);
    for _ in 0..3 {
        assert_eq!(error_of(log_in(&stage, &new, "bob", WRONG), 6), unknown);
    }
    let locked = error_of(log_in(&stage, &new, "bob", PASSWORD), 6);
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
