//! Sealed messages, and the directory's side of password logins. (A peer's side stretches the password first, which takes longer
//! than everything else together.)

use std::sync::LazyLock;

use dos_protocol::{
    MessageId, PeerId, Timestamp,
    key::SecretKey,
    opaque::{Setup, check_record},
    sealing::{Letter, Route, SealingKey, open, seal, sealing_key},
};

static SENDER: LazyLock<SecretKey> = LazyLock::new(|| secret(1));
static RECIPIENT: LazyLock<SecretKey> = LazyLock::new(|| secret(2));
static SEALING: LazyLock<SealingKey> = LazyLock::new(|| sealing_key(&RECIPIENT).expect("a key"));
static SETUP: LazyLock<Setup> = LazyLock::new(|| Setup::derive(&RECIPIENT).expect("a key"));

/// A key that is the same in every run.
fn secret(number: u8) -> SecretKey {
    let text = [&"1".repeat(31), ["2", "3"][usize::from(number % 2)]].concat();
    text.parse().expect("32 bytes in base58")
}

fn route() -> Route {
    let peer = |number| PeerId::from_number(PeerId::COUNT / 3 + number).expect("an ID");
    Route { from: peer(1), to: peer(2), message: MessageId::from([9; 16]) }
}

/// A message of anybody's, and one that was sealed to us.
pub fn letter(bytes: &[u8]) {
    let (route, sender, recipient) = (route(), SENDER.public().expect("a key"), &*RECIPIENT);
    assert!(open(&route, &sender, recipient, bytes).is_err(), "nobody has sealed that");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let letter = Letter { written_at: Timestamp(bytes.len() as i64), text: text.into() };
    let to = (&recipient.public().expect("a key"), &*SEALING);
    let mut sealed = seal(&route, &SENDER, to, &letter).expect("a short text");
    assert!(open(&route, &sender, recipient, &sealed).expect("what was sealed opens") == letter);
    let at = bytes.first().map_or(0, |byte| usize::from(*byte) * sealed.len() / 256);
    sealed[at] ^= 1;
    assert!(open(&route, &sender, recipient, &sealed).is_err(), "byte {at} was changed");
}

/// The messages of a registration and of a login, each in pieces of any length.
pub fn password(bytes: &[u8]) {
    let Some((&split, rest)) = bytes.split_first() else { return };
    let (first, second) = rest.split_at(usize::from(split).min(rest.len()));
    let credential = b"credential";
    drop(SETUP.register(credential, first));
    let record = check_record(second).is_ok().then_some(second);
    if let Ok((pending, _)) = SETUP.login(credential, record, first) {
        assert!(pending.finish(second).is_err(), "nobody knows this password");
    }
}
