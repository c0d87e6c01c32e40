//! What the directory keeps for a password tells it nothing, and what it makes of that is not believed.

use std::fs;

use dos_testing::Signal;

use crate::{
    passwords::{PASSWORD, WRONG, error_of, log_in, peer_with_password, secret, with_input},
    stage::{Peer, Stage},
};

/// Every file of the directory, and all logs.
fn written(stage: &Stage, peers: &[&Peer]) -> Vec<Vec<u8>> {
    let files =
        fs::read_dir(stage.path("dosd")).unwrap().filter_map(|entry| fs::read(entry.unwrap().path()).ok());
    let logs = peers.iter().map(|peer| peer.log().into_bytes());
    files.chain(logs).chain([fs::read(stage.path("dosd.log")).unwrap()]).collect()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn the_directory_has_neither_the_password_nor_the_key() {
    let trace = ["--log", "trace"];
    let mut stage = Stage::with(&trace);
    let bob = peer_with_password(&stage, "bob");
    bob.ctl(&["logout"]).ok();
    let new = stage.stranger("elsewhere");
    log_in(&stage, &new, "bob", PASSWORD).json();
    with_input(&new, &["password", "--password-stdin"], WRONG).ok();
    stage.dosd.take().unwrap().signal(Signal::TERM);
    let text = secret(&bob);
    let seed = bs58::decode(&text).into_vec().unwrap();
    let written = written(&stage, &[&bob, &new]);
    assert!(written.iter().any(|bytes| holds(bytes, b"passwords")), "there is a database");
    for secret in [PASSWORD.as_bytes(), WRONG.as_bytes(), text.as_bytes(), &seed] {
        assert!(!written.iter().any(|bytes| holds(bytes, secret)), "{}", String::from_utf8_lossy(secret));
    }
}

/// Stops the directory, changes its database, and starts it again.
fn tamper(stage: &mut Stage, sql: &str) {
    stage.dosd.take().unwrap().signal(Signal::TERM);
    let database = rusqlite::Connection::open(stage.path("dosd/dosd.db")).unwrap();
    database.execute_batch(sql).unwrap();
    drop(database);
    stage.start_dosd();
}

#[test]
fn a_directory_that_lies_about_the_key_is_refused_with_the_reason() {
    let mut stage = Stage::new();
    let (bob, carol) = (peer_with_password(&stage, "bob"), peer_with_password(&stage, "carol"));
    bob.ctl(&["logout"]).ok();
    carol.ctl(&["logout"]).ok();
    let new = stage.stranger("elsewhere");
    let bobs = "(SELECT id FROM peers WHERE name = 'bob')";
    let carols = "(SELECT id FROM peers WHERE name = 'carol')";
    let backup =
        "CREATE TABLE honest AS SELECT * FROM passwords; CREATE TABLE keys AS SELECT id, key FROM peers;";
    tamper(&mut stage, backup);
    let restore = "UPDATE passwords SET (record, sealed) = (SELECT record, sealed FROM honest WHERE honest.peer = passwords.peer);
                   UPDATE peers SET key = (SELECT key FROM keys WHERE keys.id = peers.id);";
    for (what, lie, expected) in [
        (
            "an altered sealed key",
            format!(
                "UPDATE passwords SET sealed = CAST(substr(sealed, 1, 20) || x'00' || substr(sealed, 22) AS BLOB) WHERE peer = {bobs};"
            ),
            "is not that of this peer",
        ),
        (
            "the sealed key of another peer",
            format!(
                "UPDATE passwords SET sealed = (SELECT sealed FROM honest WHERE peer = {carols}) WHERE peer = {bobs};"
            ),
            "is not that of this peer",
        ),
        (
            "another key for the ID",
            format!("UPDATE peers SET key = zeroblob(32) WHERE id = {bobs};"),
            "names another key for this peer",
        ),
        (
            "an altered record",
            format!(
                "UPDATE passwords SET record = CAST(substr(record, 1, 150) || x'00' || substr(record, 152) AS BLOB) WHERE peer = {bobs};"
            ),
            "wrong name or password",
        ),
        (
            "everything of another peer with the same password",
            format!(
                "UPDATE passwords SET (record, sealed) = (SELECT record, sealed FROM honest WHERE peer = {carols}) WHERE peer = {bobs};"
            ),
            "wrong name or password",
        ),
    ] {
        tamper(&mut stage, &lie);
        let error = error_of(log_in(&stage, &new, "bob", PASSWORD), 6);
        assert!(error["message"].as_str().unwrap().contains(expected), "{what}: {error}");
        assert_eq!(new.json(&["status"])["state"], "unregistered", "{what}");
        assert!(!new.dir.join("state/identity.toml").exists(), "{what}");
        tamper(&mut stage, restore);
    }
    log_in(&stage, &new, "bob", PASSWORD).json();
}
