//! What a sealed message withstands.

use super::*;
use crate::{
    key::{PublicKey, SecretKey},
    time::Timestamp,
};

fn seed(byte: u8) -> SecretKey {
    bs58::encode([byte; 32]).into_string().parse().unwrap()
}

fn route() -> Route {
    let message = MessageId::from([3; 16]);
    Route { from: "7xKqPm2R".parse().unwrap(), to: "7xKqPm2S".parse().unwrap(), message }
}

fn letter() -> Letter {
    Letter { written_at: Timestamp(1_700_000_000_000), text: "hello, Bob".into() }
}

/// From Alice (1) to Bob (2).
fn sealed() -> Vec<u8> {
    let bob = seed(2);
    seal(&route(), &seed(1), (&bob.public().unwrap(), &sealing_key(&bob).unwrap()), &letter()).unwrap()
}

fn opened(route: &Route, from: u8, to: u8, sealed: &[u8]) -> Result<Letter, SealingError> {
    open(route, &seed(from).public().unwrap(), &seed(to), sealed)
}

#[test]
fn a_message_opens_for_its_recipient_alone() {
    assert_eq!(opened(&route(), 1, 2, &sealed()), Ok(letter()));
    assert_eq!(opened(&route(), 1, 3, &sealed()), Err(SealingError::Open));
    assert_eq!(sealed().len(), letter().text.len() + SEALED_OVERHEAD);
    assert!(!sealed().windows(5).any(|window| window == b"hello"));
    assert_ne!(sealed(), sealed(), "the same message is never sealed the same");
}

#[test]
fn any_changed_bit_and_any_cut_is_noticed() {
    let good = sealed();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(opened(&route(), 1, 2, &bad).is_err(), "byte {at}");
        assert!(opened(&route(), 1, 2, &good[..at]).is_err(), "cut at {at}");
    }
    assert!(opened(&route(), 1, 2, &vec![0; SEALED_MESSAGE_BYTES_MAX + 1]).is_err());
}

#[test]
fn a_message_under_another_id_or_from_or_to_another_peer_does_not_open() {
    for other in [
        Route { message: MessageId::from([4; 16]), ..route() },
        Route { from: "7xKqPm2T".parse().unwrap(), ..route() },
        Route { to: "7xKqPm2T".parse().unwrap(), ..route() },
    ] {
        assert_eq!(opened(&other, 1, 2, &sealed()), Err(SealingError::Open));
    }
    assert_eq!(opened(&route(), 3, 2, &sealed()), Err(SealingError::Open));
}

#[test]
fn a_message_that_its_sender_has_not_signed_is_refused() {
    // Carol (3) seals in Alice's name: she knows everything but Alice's secret key.
    use crate::signature::Statement;
    use hpke::{
        Deserializable, Kem, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
        kem::X25519HkdfSha256, single_shot_seal,
    };
    let (alice, bob) = (seed(1).public().unwrap(), seed(2).public().unwrap());
    let info = Statement::new("dos message v1").bytes(alice.as_bytes()).bytes(bob.as_bytes());
    let aad = Statement::new("dos message v1").number(route().from.number()).number(route().to.number());
    let aad = aad.bytes(route().message.as_bytes());
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&sealing_key(&seed(2)).unwrap().key).unwrap();
    let forged = seed(3).sign(&info).unwrap();
    let plain = [&letter().written_at.0.to_be_bytes(), forged.as_bytes().as_slice(), b"hello, Bob"].concat();
    let (encapsulated, body) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        info.as_bytes(),
        &plain,
        aad.as_bytes(),
    )
    .unwrap();
    let sealed = [encapsulated.to_bytes().as_slice(), &body].concat();
    assert_eq!(opened(&route(), 1, 2, &sealed), Err(SealingError::Signature));
}

#[test]
fn nothing_is_sealed_to_a_key_that_the_recipient_has_not_signed() {
    let (bob, carol) = (seed(2), seed(3));
    let swapped = SealingKey { key: sealing_key(&carol).unwrap().key, ..sealing_key(&bob).unwrap() };
    for sealing in [swapped, sealing_key(&carol).unwrap()] {
        let outcome = seal(&route(), &seed(1), (&bob.public().unwrap(), &sealing), &letter());
        assert_eq!(outcome, Err(SealingError::Key));
    }
}

#[test]
fn the_sealing_key_of_an_identity_never_changes() {
    let key = sealing_key(&seed(1)).unwrap();
    assert_eq!(key, sealing_key(&seed(1)).unwrap());
    assert_eq!(bs58::encode(key.key).into_string(), "AuLFynXFD5Yqrvw6ieyo3ZzNP714ZNFD6LPPrXgHMkJ2");
    assert_eq!(key.verify(&seed(1).public().unwrap()), Ok(()));
    assert!(key.verify(&PublicKey::from([9; 32])).is_err());
}

#[test]
fn a_broadcast_is_its_senders_and_says_what_it_said() {
    let (alice, carol) = (seed(1), seed(3));
    let signature = sign_broadcast(&route(), &alice, "hello").unwrap();
    let key = alice.public().unwrap();
    assert!(verify_broadcast(&route(), &key, "hello", &signature).is_ok());
    assert!(verify_broadcast(&route(), &key, "hallo", &signature).is_err());
    assert!(verify_broadcast(&route(), &carol.public().unwrap(), "hello", &signature).is_err());
    let other = Route { message: MessageId::from([4; 16]), ..route() };
    assert!(verify_broadcast(&other, &key, "hello", &signature).is_err());
    let to_another = Route { to: "7xKqPm2T".parse().unwrap(), ..route() };
    assert!(verify_broadcast(&to_another, &key, "hello", &signature).is_ok());
}
