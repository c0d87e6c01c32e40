//! What somebody finds of a password or a key in the memory of a daemon that has used it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use crate::{
    passwords::{log_in, secret, with_input},
    stage::{Peer, Stage},
};

const PASSWORD: &str = "Unforgettable Zanzibar 77";

/// How often these bytes are in the memory that the daemon can write to; nothing if the system does not show it.
fn found(peer: &Peer, bytes: &[u8]) -> Option<usize> {
    let process = peer.peerd.as_ref().unwrap().id();
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut count = 0;
    for map in maps.lines() {
        let mut words = map.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let (from, to) = range.split_once('-')?;
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut content = vec![0; usize::try_from(to - from).ok()?];
        // Some regions, such as what the kernel keeps there, cannot be read.
        if rights.contains('w') && memory.read_exact_at(&mut content, from).is_ok() {
            count += content.windows(bytes.len()).filter(|window| *window == bytes).count();
        }
    }
    Some(count)
}

#[test]
fn neither_a_password_nor_the_text_of_a_key_stays_in_memory() {
    let stage = Stage::new();
    let alice = stage.stranger("alice");
    let link = stage.link();
    let args = ["register", "--server", &link, "--name", "alice", "--password-stdin"];
    with_input(&alice, &args, PASSWORD).ok();
    with_input(&alice, &["password", "--password-stdin"], PASSWORD).ok();
    alice.ctl(&["logout"]).ok();
    let elsewhere = stage.stranger("elsewhere");
    log_in(&stage, &elsewhere, "alice", PASSWORD).ok();
    for peer in [&alice, &elsewhere] {
        let Some(name) = found(peer, b"alice") else {
            return dos_testing::skipped("neither_a_password_nor_a_key", "memory of processes is not shown");
        };
        assert!(name > 0, "the test looks where it should");
        assert_eq!(found(peer, PASSWORD.as_bytes()), Some(0));
        assert_eq!(found(peer, secret(peer).as_bytes()), Some(0));
    }
}
