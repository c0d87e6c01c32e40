//! A log that no one reads: a peer's daemon serves, and ends, as ever.

use std::{io::Read, process::Command, time::Duration};

use dos_testing::{
    Guarded, Signal,
    attack::{report, size},
};

use super::{
    connections::{Strangers, Trick},
    target,
};
use crate::{
    pictures,
    reach::give,
    stage::{Stage, program, wait_until},
};

#[test]
fn a_log_that_is_not_read_holds_up_neither_service_nor_end() {
    let stage = Stage::new();
    let mut alice = stage.peer("alice");
    let bob = stage.peer_in("bob", None, &["--listen", "127.0.0.1:0", "--auto-fetch", "false"]);
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    give(&alice, &bob, "sea", &alice.dir.join("sea.jpg"));
    alice.kill();
    let (mut unread, stderr) = std::io::pipe().unwrap();
    let mut command = Command::new(program("peerd"));
    command.args(["--profile", "alice", "--log", "trace", "--listen", "127.0.0.1:0", "--state-dir"]);
    command.arg(alice.dir.join("state")).arg("--socket").arg(alice.socket()).stderr(stderr);
    let mut peerd = Guarded::start(&mut command);
    drop(command);
    wait_until("peerd answers", || alice.ctl(&["status"]).code == Some(0));
    alice.online();
    let strangers = Strangers::start(target(&alice), size(50, 500), Trick::Garbage);
    let wanted = size(1_000, 10_000);
    wait_until("the strangers were there", || strangers.counts()[0] >= wanted);
    bob.ctl(&["fetch", "alice/sea"]).ok();
    assert_eq!(bob.view("alice/sea"), original);
    drop(strangers);
    peerd.signal(Signal::TERM);
    assert_eq!(peerd.wait_within(Duration::from_secs(5)).code(), Some(0));
    let mut log = Vec::new();
    unread.read_to_end(&mut log).unwrap();
    report(
        "a log of peerd that is not read",
        &format!("{wanted} strangers; {} bytes were in the pipe", log.len()),
    );
    assert!(log.len() >= 40_000, "the pipe was full: {}", log.len());
}
