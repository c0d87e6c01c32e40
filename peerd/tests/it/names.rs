//! Names and passwords in whatever spelling a keyboard or a file system has, and files that are no images.

use std::{fs, io::Write, os::unix::net::UnixStream};

use dos_protocol::{
    Code,
    control::{Command, FromPeerd, ToPeerd},
    frame,
};

use crate::{
    passwords::{log_in, with_input},
    pictures,
    stage::{PATIENCE, Stage, wait_until},
};

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

#[test]
fn an_image_is_found_in_either_spelling_and_gets_no_name_that_deceives() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    let added = alice.json(&["add", "sea.jpg", "--name", DECOMPOSED]);
    assert_eq!(added["images"][0]["name"], COMPOSED);
    for name in [".hidden", "sea\u{200b}side", "sea\u{ad}"] {
        alice.error(8, &["add", "sea.jpg", "--name", name]);
        alice.error(8, &["rename", COMPOSED, name]);
    }
    alice.error(7, &["add", "sea.jpg", "--name", DECOMPOSED]);
    alice.ctl(&["share", DECOMPOSED, "bob", "--views", "2"]).ok();
    for name in [COMPOSED, DECOMPOSED] {
        assert!(bob.view(&format!("alice/{name}")) == original);
    }
    alice.ctl(&["rename", DECOMPOSED, "sea"]).ok();
    alice.ctl(&["remove", "sea"]).ok();
}

#[test]
fn a_password_is_the_same_in_either_spelling() {
    let stage = Stage::new();
    let alice = stage.stranger("alice");
    let link = stage.link();
    let args = ["register", "--server", &link, "--name", "alice", "--password-stdin"];
    with_input(&alice, &args, &format!("au {DECOMPOSED} la nuit tombe")).ok();
    let elsewhere = stage.stranger("elsewhere");
    alice.ctl(&["logout"]).ok();
    log_in(&stage, &elsewhere, "alice", &format!("au {COMPOSED} la nuit tombe")).ok();
}

#[test]
fn what_is_no_image_is_refused_by_its_first_bytes() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let mut stream = UnixStream::connect(alice.socket()).unwrap();
    let add = Command::Add { name: "letter".parse().unwrap(), replace: false, options: None };
    let mut send = |message: &ToPeerd| stream.write_all(&frame::to_frame(message).unwrap());
    send(&ToPeerd::Do(Box::new(add))).unwrap();
    // Byte by byte at first, as no dosctl does it.
    for byte in b"dear diary, today " {
        send(&ToPeerd::Data(vec![*byte])).unwrap();
    }
    // The file is not ended: the answer comes before the rest of it.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = frame::read_blocking(&mut stream).unwrap().unwrap();
    let FromPeerd::Failed(error) = frame::decode(&body).unwrap() else { panic!("it was taken") };
    assert_eq!(error.code, Code::Invalid);
    let left = || fs::read_dir(alice.dir.join("state/tmp")).unwrap().count();
    wait_until("what was begun is gone", || left() == 0);
}
