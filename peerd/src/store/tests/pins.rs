//! Contacts, what is believed of messages, and the words of owners.

use dos_protocol::{
    PublicKey, SealingKey,
    control::{OtherKey, Trust},
    directory::InboxMessage,
};

use super::*;
use crate::rules::trust::Proof;

fn key(byte: u8) -> PublicKey {
    PublicKey::from([byte; 32])
}

fn sealing() -> SealingKey {
    SealingKey { key: [5; 32], signature: [6; 64].into() }
}

fn told(byte: u8, sealing: Option<SealingKey>) -> Told {
    Told { peer: other(), key: key(byte), sealing, name: Some("bob".parse().unwrap()) }
}

/// A message with this number, as it was opened.
fn arrival(seq: u64, proof: Proof) -> Incoming {
    let message = InboxMessage {
        message: dos_protocol::MessageId::from([u8::try_from(seq).unwrap(); 16]),
        from: other(),
        from_name: None,
        sent_at: Timestamp(9),
        text: format!("number {seq}").into(),
        sealed: None,
        from_key: None,
        signature: None,
    };
    Incoming { seq: Seq(seq), at: Timestamp(9), update: Update::Message(Box::new(message)), proof }
}

impl Bench {
    async fn contact_known(&self) -> Pin {
        self.store.pin(other()).await.unwrap().unwrap()
    }

    async fn messages_signed(&self) -> Vec<bool> {
        let me = Me { id: me(), name: None };
        let (messages, _) = self.store.messages(me, Wanted::default()).await.unwrap();
        messages.into_iter().map(|message| message.signed).collect()
    }
}

#[tokio::test]
async fn the_first_key_is_pinned_and_another_one_noted_beside_it() {
    let bench = bench().await;
    assert!(matches!(bench.store.compare(told(1, None)).await.unwrap(), Compared::Known(_)));
    let pin = bench.contact_known().await;
    assert_eq!((pin.contact.key, pin.contact.trust, pin.sealing), (key(1), Some(Trust::FirstUse), None));
    // A sealing key that comes later is taken over; one is not lost when none is told.
    bench.store.compare(told(1, Some(sealing()))).await.unwrap();
    bench.store.compare(told(1, None)).await.unwrap();
    assert_eq!(bench.contact_known().await.sealing, Some(sealing()));
    for news in [true, false] {
        match bench.store.compare(told(2, Some(sealing()))).await.unwrap() {
            Compared::Changed { contact, news: is_news } => {
                assert_eq!((contact.key, is_news), (key(1), news));
                assert_eq!(contact.other.map(|other| (other.peer, other.key)), Some((other(), key(2))));
            }
            met => panic!("{met:?}"),
        }
    }
    assert_eq!(bench.store.key_changes().await.unwrap(), 1);
    assert_eq!(bench.store.pin_by_key(key(1)).await.unwrap().unwrap().contact.id, other());
    assert!(bench.store.pin_by_key(key(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_person_replaces_a_key_or_keeps_it() {
    let bench = bench().await;
    bench.store.compare(told(1, Some(sealing()))).await.unwrap();
    bench.store.compare(told(2, None)).await.unwrap();
    let kept = bench.store.keep_key(other()).await.unwrap().unwrap();
    assert_eq!((kept.key, kept.other), (key(1), None));
    let (contact, replaced) = bench.store.trust(told(1, None)).await.unwrap();
    assert_eq!((contact.trust, replaced), (Some(Trust::Verified), false));
    assert_eq!(bench.contact_known().await.sealing, Some(sealing()), "the same key has the same sealing key");
    let (contact, replaced) = bench.store.trust(told(2, None)).await.unwrap();
    assert_eq!((contact.key, contact.other, replaced), (key(2), None, true));
    assert_eq!(bench.contact_known().await.sealing, None, "another key has another one");
}

#[tokio::test]
async fn a_name_is_that_of_the_peer_that_was_trusted_last_under_it() {
    let bench = bench().await;
    let bob: dos_protocol::PeerName = "bob".parse().unwrap();
    bench.store.compare(told(1, None)).await.unwrap();
    let third: PeerId = "9zMsRo4T".parse().unwrap();
    let noted = OtherKey { peer: third, key: key(3), at: Timestamp(7) };
    let (contact, news) = bench.store.note_other(other(), noted).await.unwrap().unwrap();
    assert_eq!((contact.other, news), (Some(noted), true));
    assert_eq!(bench.store.pin_by_name(bob.clone()).await.unwrap().unwrap().contact.id, other());
    bench.store.trust(Told { peer: third, ..told(3, None) }).await.unwrap();
    assert_eq!(bench.store.pin_by_name(bob).await.unwrap().unwrap().contact.id, third);
    assert_eq!(
        (bench.contact_known().await.contact.name, bench.contact_known().await.contact.other),
        (None, None)
    );
}

#[tokio::test]
async fn a_message_without_a_signature_is_taken_from_those_alone_who_do_not_sign() {
    let bench = bench().await;
    bench.apply(vec![arrival(1, Proof::None)]).await.unwrap();
    bench.store.compare(told(1, None)).await.unwrap();
    bench.apply(vec![arrival(2, Proof::None)]).await.unwrap();
    bench.store.compare(told(1, Some(sealing()))).await.unwrap();
    let applied =
        bench.apply(vec![arrival(3, Proof::None), arrival(4, Proof::Signed(key(1)))]).await.unwrap();
    assert_eq!((applied.stored, applied.refused, applied.events.len()), (Seq(4), 1, 1));
    assert_eq!(bench.messages_signed().await, [false, false, true]);
}

#[tokio::test]
async fn a_signed_message_pins_its_key_and_another_key_is_refused_and_noted() {
    let bench = bench().await;
    bench.apply(vec![arrival(1, Proof::Signed(key(1)))]).await.unwrap();
    assert_eq!(bench.contact_known().await.contact.key, key(1));
    let bad =
        vec![arrival(2, Proof::Signed(key(2))), arrival(3, Proof::Wrong), arrival(4, Proof::Signed(key(1)))];
    let applied = bench.apply(bad).await.unwrap();
    assert_eq!((applied.refused, applied.refusals.len(), applied.changed.len()), (2, 2, 1));
    assert_eq!(bench.contact_known().await.contact.other.map(|other| other.key), Some(key(2)));
    assert_eq!(bench.messages_signed().await, [true, true]);
    assert_eq!(bench.store.own().await.unwrap().refused, 2);
}

#[tokio::test]
async fn an_owners_word_never_goes_back() {
    let bench = bench().await;
    let word = |revision, byte: u8| SeenImage {
        owner: other(),
        name: "sea".parse().unwrap(),
        revision,
        signature: [byte; 64].into(),
    };
    let sea = || vec![(other(), "sea".parse().unwrap())];
    assert!(bench.store.seen_images(sea()).await.unwrap().is_empty());
    for (note, expected) in [(word(5, 1), word(5, 1)), (word(4, 2), word(5, 1)), (word(6, 3), word(6, 3))] {
        bench.store.note_images(vec![note]).await.unwrap();
        assert_eq!(bench.store.seen_images(sea()).await.unwrap(), [expected]);
    }
    let (first, second) =
        (bench.store.next_revision().await.unwrap(), bench.store.next_revision().await.unwrap());
    assert!(first > 1_600_000_000_000 && second > first);
}

#[tokio::test]
async fn those_with_whom_there_is_a_relation_and_no_key_are_found() {
    let bench = bench().await;
    bench.apply(vec![arrival(1, Proof::None)]).await.unwrap();
    assert_eq!(bench.store.unpinned(None, 10).await.unwrap(), [other()]);
    assert!(bench.store.unpinned(Some(other()), 10).await.unwrap().is_empty());
    bench.store.compare(told(1, None)).await.unwrap();
    assert!(bench.store.unpinned(None, 10).await.unwrap().is_empty());
}
