//! Links and greetings: they read what they print, and nothing else; every part of a meeting is in every MAC.

use super::*;
use crate::{
    JoinLink,
    link::LinkError,
    signature::{SIGNATURE_BYTES, Signature},
};

fn secret(byte: u8) -> InviteSecret {
    InviteSecret(Zeroizing::new([byte; SECRET_BYTES]))
}

fn key(byte: u8) -> PublicKey {
    PublicKey::from([byte; 32])
}

fn sealing(byte: u8) -> SealingKey {
    SealingKey { key: [byte; 32], signature: Signature::from([byte; SIGNATURE_BYTES]) }
}

fn alice() -> PeerId {
    "7xKqPm2R".parse().unwrap()
}

fn bob() -> PeerId {
    "8yLrQn3S".parse().unwrap()
}

fn link(name: Option<&str>, invite: Option<&str>) -> JoinLink {
    let from = Card { id: alice(), key: key(3), name: name.map(|name| name.parse().unwrap()) };
    let invitation = Invitation { from, guest: "bob".parse().unwrap(), secret: secret(7) };
    JoinLink {
        key: key(9),
        host: "dos.example.org".into(),
        port: 5001,
        others: Vec::new(),
        invite: invite.map(Into::into),
        invitation: Some(Box::new(invitation)),
    }
}

fn meeting() -> Meeting {
    Meeting { directory: key(9), inviter: (alice(), key(3)), guest: (bob(), key(4)) }
}

fn other_meetings() -> Vec<Meeting> {
    vec![
        Meeting { directory: key(8), ..meeting() },
        Meeting { inviter: (bob(), key(3)), ..meeting() },
        Meeting { inviter: (alice(), key(5)), ..meeting() },
        Meeting { guest: (alice(), key(4)), ..meeting() },
        Meeting { guest: (bob(), key(5)), ..meeting() },
        Meeting { inviter: (bob(), key(4)), guest: (alice(), key(3)), ..meeting() },
    ]
}

#[test]
fn a_link_of_an_invitation_reads_what_it_prints_and_needs_no_quotes() {
    for (name, invite) in
        [(Some("alice"), Some("Ab3")), (Some("alice"), None), (None, Some("Ab3")), (None, None)]
    {
        let text = link(name, invite).to_string();
        assert_eq!(text.parse(), Ok(link(name, invite)), "{text}");
        assert!(!text.contains(['&', ';', '|', '*', '$', '\'', '"', ' ', '(', '<', '!', '\\']), "{text}");
    }
    assert_eq!(
        link(Some("alice"), Some("Ab3")).bare().to_string(),
        format!("dos://{}@dos.example.org:5001", key(9))
    );
}

#[test]
fn a_link_that_was_changed_or_cut_is_told_from_one_that_was_not() {
    let text = link(Some("alice"), Some("Ab3")).to_string();
    let refused = |text: &str| text.parse::<JoinLink>().unwrap_err();
    for end in text.find('#').unwrap()..text.len() {
        assert_eq!(refused(&text[..end]), LinkError::Damaged, "cut at {end}");
    }
    let other = link(Some("alice"), Some("Ab4")).to_string();
    for (changed, why) in [
        (text.replace("Ab3", "Ab4"), LinkError::Damaged),
        (text.replace("for=bob", "for=eve"), LinkError::Damaged),
        (text.replace(":5001", ":5002"), LinkError::Damaged),
        (text.replace("name=alice", "name=alicf"), LinkError::Damaged),
        (text.replace(&key(3).to_string(), &key(5).to_string()), LinkError::Damaged),
        (
            format!("{}{}", &text[..text.find('#').unwrap()], &other[other.find('#').unwrap()..]),
            LinkError::Damaged,
        ),
        (text.replace("+for=bob", ""), LinkError::Query),
        (text.replace("+from=", "+form="), LinkError::Query),
        (text.replace("+name=alice", "+name=A%20B"), LinkError::Query),
        (text.replace("from=7xKqPm2R@", "from=7xKqPm2R"), LinkError::Query),
    ] {
        assert_eq!(refused(&changed), why, "{changed}");
    }
}

#[test]
fn a_secret_shows_in_the_link_alone() {
    let link = link(Some("alice"), None);
    let shown = format!("{link:?} {:?}", secret(7).master());
    assert!(shown.contains("InviteSecret(..)") && shown.contains("InviteKey(..)"), "{shown}");
    let fragment = link.to_string().split_once('#').unwrap().1.to_owned();
    assert!(!shown.contains(&fragment));
}

#[test]
fn a_guest_proves_its_keys_to_its_inviter_and_to_no_one_else() {
    let key = secret(7).master();
    let name: Option<PeerName> = Some("bob".parse().unwrap());
    let join = key.join(&meeting(), sealing(6), name);
    assert!(join.is_proved(&key, &meeting()));
    assert!(!join.is_proved(&secret(8).master(), &meeting()), "under another secret");
    for other in other_meetings() {
        assert!(!join.is_proved(&key, &other), "{other:?}");
    }
    assert!(!Join { sealing: sealing(5), ..join.clone() }.is_proved(&key, &meeting()));
    assert!(!Join { name: None, ..join }.is_proved(&key, &meeting()));
}

#[test]
fn an_inviter_proves_its_keys_and_its_refusals() {
    let key = secret(7).master();
    let welcome = key.welcome(&meeting(), sealing(5), &sealing(6));
    assert!(welcome.is_proved(&key, &meeting(), &sealing(6)));
    assert!(!welcome.is_proved(&key, &meeting(), &sealing(4)));
    assert!(!Welcome { sealing: sealing(4), ..welcome }.is_proved(&key, &meeting(), &sealing(6)));
    let refusal = key.refusal(&meeting(), RefusedBecause::Used);
    assert!(refusal.is_proved(&key, &meeting()));
    assert!(!Refusal { why: RefusedBecause::Expired, ..refusal }.is_proved(&key, &meeting()));
    for other in other_meetings() {
        assert!(!welcome.is_proved(&key, &other, &sealing(6)), "{other:?}");
        let same_peers =
            Meeting { guest: meeting().guest, ..other.clone() } == meeting() && other.guest.0 == bob();
        assert_eq!(refusal.is_proved(&key, &other), same_peers, "{other:?}");
    }
}

#[test]
fn no_kind_passes_for_another_one() {
    let key = secret(7).master();
    let join = key.join(&meeting(), sealing(5), None);
    let welcome = key.welcome(&meeting(), sealing(5), &sealing(5));
    // A guest's own word, sent back to it.
    assert!(!Welcome { mac: join.mac, ..welcome }.is_proved(&key, &meeting(), &sealing(5)));
    assert!(!Join { mac: welcome.mac, ..join }.is_proved(&key, &meeting()));
}

#[test]
fn greetings_are_read_as_they_were_sent_and_fit_their_bound() {
    let key = secret(7).master();
    let long = "x".repeat(32).parse().unwrap();
    for greeting in [
        Greeting::Join(key.join(&meeting(), sealing(6), Some(long))),
        Greeting::Welcome(key.welcome(&meeting(), sealing(5), &sealing(6))),
        Greeting::Refusal(key.refusal(&meeting(), RefusedBecause::KeyChanged)),
    ] {
        let blob = greeting.to_blob().unwrap();
        assert_eq!(Greeting::read(&blob), Some(greeting.clone()));
        assert_eq!(greeting.invitation(), key.id());
    }
    assert_eq!(Greeting::read(&Blob::try_from(vec![0xa1]).unwrap()), None);
}

#[test]
fn what_a_secret_makes_stays_the_same() {
    // Links that are under way when a daemon is updated.
    let key = secret(7).master();
    let name: Option<PeerName> = Some("bob".parse().unwrap());
    let macs = [
        key.join(&meeting(), sealing(6), name).mac,
        key.welcome(&meeting(), sealing(5), &sealing(6)).mac,
        key.refusal(&meeting(), RefusedBecause::Used).mac,
    ];
    let shown: Vec<String> = macs.iter().map(|mac| bs58::encode(mac.0).into_string()).collect();
    insta::assert_debug_snapshot!((link(Some("alice"), Some("Ab3")).to_string(), key.id(), shown));
}
