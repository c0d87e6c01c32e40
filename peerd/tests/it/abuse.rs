//! Bad input on the local socket and on the peer port costs little and disturbs nobody.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
};

use crate::stage::{PATIENCE, Stage};

fn ends(mut stream: impl Read) {
    // An end or a reset: the connection is over either way. One that stays open runs into its time limit.
    if let Err(error) = stream.read_to_end(&mut Vec::new()) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it stays open");
    }
}

#[test]
fn garbage_on_the_control_socket_is_cut_off() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let deep: Vec<u8> = [&50_000u32.to_be_bytes()[..], &[0x81; 50_000]].concat();
    let oversized = u32::MAX.to_be_bytes().to_vec();
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), oversized, deep] {
        let mut stream = UnixStream::connect(alice.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        drop(stream.write_all(&garbage));
        ends(stream);
        alice.ctl(&["status"]).ok();
    }
}

#[test]
fn garbage_and_silence_on_the_peer_port_disturb_nobody() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let address = alice.json(&["status"])["listen"].as_str().unwrap().to_owned();
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0xff; 10_000]).unwrap();
    ends(stream);
    let bob = stage.peer("bob");
    let original = crate::pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    crate::stage::wait_until("bob is told", || bob.right("/sea").is_some());
    assert_eq!(bob.view("alice/sea"), original);
    drop(silent);
}

#[test]
fn hostile_images_are_refused_and_peerd_goes_on() {
    let stage = Stage::new();
    let mut alice = stage.peer("alice");
    let jpeg = crate::pictures::jpeg(1);
    std::fs::write(alice.dir.join("cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    std::fs::write(alice.dir.join("empty.jpg"), b"").unwrap();
    std::fs::write(alice.dir.join("bomb.png"), png_bomb()).unwrap();
    for name in ["cut.jpg", "empty.jpg", "bomb.png"] {
        let error = alice.error(8, &["add", "--strict", name]);
        assert_eq!(error["error"]["code"], "invalid");
    }
    assert!(alice.peerd.as_mut().unwrap().is_running());
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"].as_array().map_or(0, Vec::len), 0);
    assert_eq!(std::fs::read_dir(alice.dir.join("state/sealed")).unwrap().count(), 0);
}

/// The header of a PNG of 50,000 x 50,000 pixels, and no more than that.
fn png_bomb() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(50_000u32.to_be_bytes());
    header.extend(50_000u32.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(13u32.to_be_bytes());
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png
}

/// CRC-32 as PNG uses it (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
