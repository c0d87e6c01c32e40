//! Pictures for people: an original in a viewer, and what is left of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use dos_testing::{Guarded, Signal, skipped};

use crate::{
    pictures,
    stage::{Peer, Stage, wait_until},
};

/// A peer whose socket lies in memory, with an image of its own.
fn peer_in_memory(stage: &Stage) -> (Peer, tempfile::TempDir, Vec<u8>) {
    let memory = tempfile::Builder::new().prefix("dos").tempdir_in("/dev/shm").unwrap();
    let mut peer = stage.peer("alice");
    let original = pictures::write(&peer.dir.join("sea.jpg"), 1);
    peer.ctl(&["add", "sea.jpg", "--name", "Sea at dawn"]).ok();
    peer.kill();
    peer.runtime = Some(memory.path().to_owned());
    peer.start();
    (peer, memory, original)
}

/// The files that lie open, with their directories.
fn open(peer: &Peer) -> Vec<PathBuf> {
    let root = peer.socket().with_extension("open");
    let files = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    files(root).flat_map(files).collect()
}

/// A viewer that copies what it is given and stays until it may go, or has nothing left to show.
fn viewer(peer: &Peer) -> String {
    let script = peer.dir.join("viewer.sh");
    let text = "cp \"$1\" seen.part && mv seen.part seen\nwhile [ -e \"$1\" ] && ! [ -e close ]; do sleep 0.02; done\n";
    fs::write(&script, text).unwrap();
    format!("sh {}", script.display())
}

#[test]
fn an_opened_original_lies_in_memory_for_the_viewer_alone_and_goes_when_it_closes() {
    let stage = Stage::new();
    let (alice, _memory, original) = peer_in_memory(&stage);
    let args = ["view", "Sea at dawn", "--open", "--viewer", &viewer(&alice)];
    let mut child = Guarded::start(alice.command(&args).stdout(Stdio::piped()));
    let mut said = String::new();
    BufReader::new(child.stdout()).read_line(&mut said).unwrap();
    assert!(said.starts_with("opened Sea at dawn ("), "{said}");
    assert_eq!(fs::read(alice.dir.join("seen")).unwrap(), original);
    let files = open(&alice);
    assert_eq!(files.len(), 1);
    assert!(files[0].ends_with("Sea at dawn.jpg"), "{files:?}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&files[0]), mode(files[0].parent().unwrap())), (0o600, 0o700));
    fs::write(alice.dir.join("close"), "").unwrap();
    assert!(child.wait().success());
    assert_eq!(open(&alice), Vec::<PathBuf>::new());
}

#[test]
fn an_opened_original_goes_when_dosctl_is_interrupted_or_peerd_stops() {
    let stage = Stage::new();
    let (mut alice, _memory, _) = peer_in_memory(&stage);
    let args = ["view", "Sea at dawn", "--open", "--viewer", &viewer(&alice)];
    let mut child = Guarded::start(alice.command(&args).stdout(Stdio::null()));
    wait_until("the viewer has it", || alice.dir.join("seen").exists());
    child.signal(Signal::INT);
    assert_eq!(child.wait().code(), Some(130));
    assert_eq!(open(&alice), Vec::<PathBuf>::new());
    // Killed, it cannot: then peerd does.
    fs::remove_file(alice.dir.join("seen")).unwrap();
    let mut child = Guarded::start(alice.command(&args).stdout(Stdio::null()));
    wait_until("the viewer has it", || alice.dir.join("seen").exists());
    child.kill();
    assert_eq!(open(&alice).len(), 1);
    alice.peerd.take().unwrap().signal(Signal::TERM);
    assert!(!alice.socket().with_extension("open").exists());
    fs::write(alice.dir.join("close"), "").unwrap();
}

#[test]
fn a_viewer_that_hands_the_file_on_or_fails_leaves_the_picture_to_peerd() {
    let stage = Stage::new();
    let (mut alice, _memory, original) = peer_in_memory(&stage);
    let bob = stage.peer("bob");
    let hill = pictures::write(&bob.dir.join("hill.jpg"), 2);
    bob.ctl(&["add", "hill.jpg"]).ok();
    bob.ctl(&["share", "hill", "alice", "--views", "1"]).ok();
    wait_until("alice is told", || alice.right("/hill").is_some());
    let failed = alice.ctl(&["view", "bob/hill", "--open", "--viewer", "false"]).fails(1);
    assert!(failed.contains("the view is used, and the picture is in"), "{failed}");
    assert_eq!(fs::read(&open(&alice)[0]).unwrap(), hill);
    alice.ctl(&["view", "bob/hill", "-o", "hill.jpg"]).fails(6);
    alice.restart();
    assert_eq!(open(&alice), Vec::<PathBuf>::new());
    let handed = alice.ctl(&["view", "Sea at dawn", "--open", "--viewer", "true"]);
    assert_eq!(handed.code, Some(0));
    assert!(handed.err.contains("stays in memory until peerd stops"), "{}", handed.err);
    let files = open(&alice);
    assert_eq!(fs::read(&files[0]).unwrap(), original);
    // Also after a crash.
    alice.restart();
    assert_eq!(open(&alice), Vec::<PathBuf>::new());
}

#[test]
fn a_socket_on_a_disk_is_no_place_to_open_originals() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    if in_memory(&alice.dir) {
        let name = "a_socket_on_a_disk_is_no_place_to_open_originals";
        return skipped(name, "temporary files lie in memory here");
    }
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let error = alice.error(2, &["view", "sea", "--open", "--viewer", "true"]);
    assert!(error["error"]["cause"].as_str().unwrap().contains("on a disk"), "{error}");
    assert_eq!(error["error"]["hint"], "dosctl view 'sea' -o FILE");
}

/// Whether the directory lies in memory, as temporary files do on some machines.
fn in_memory(dir: &Path) -> bool {
    let told = std::process::Command::new("stat").args(["-f", "-c", "%T"]).arg(dir).output().unwrap();
    told.stdout.starts_with(b"tmpfs")
}
