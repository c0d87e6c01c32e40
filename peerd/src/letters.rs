//! Messages as they come from the directory: opened, and their signatures verified, before the store takes them.
//!
//! What always holds: what cannot be opened goes on as a message without a text that proves nothing wrong, so that it has its place in the
//! inbox, and the store refuses it.

use dos_protocol::{
    PeerId, Timestamp,
    directory::{InboxMessage, Update},
    key::SecretKey,
    sealing::{Route, SealingError, open, verify_broadcast},
};

use crate::{
    rules::trust::Proof,
    store::{Arrival, Incoming},
};

/// Whether a batch has a message in it, so that keys are worked with.
pub(crate) fn any(batch: &[Arrival]) -> bool {
    batch.iter().any(|arrival| {
        matches!(
            arrival,
            Arrival::Broadcast(..) | Arrival::Update(Incoming { update: Update::Message(_), .. })
        )
    })
}

/// Opens the messages of a batch.
pub(crate) fn open_all(me: PeerId, secret: &SecretKey, batch: Vec<Arrival>) -> Vec<Arrival> {
    batch
        .into_iter()
        .map(|arrival| match arrival {
            Arrival::Broadcast(message, _) => {
                let proof = of_broadcast(me, &message);
                Arrival::Broadcast(message, proof)
            }
            Arrival::Update(Incoming { seq, at, update: Update::Message(message), .. }) => {
                let (message, proof) = opened(me, secret, *message);
                Arrival::Update(Incoming { seq, at, update: Update::Message(Box::new(message)), proof })
            }
            other => other,
        })
        .collect()
}

fn route(me: PeerId, message: &InboxMessage) -> Route {
    Route { from: message.from, to: me, message: message.message }
}

fn of_broadcast(me: PeerId, message: &InboxMessage) -> Proof {
    match (&message.signature, &message.from_key) {
        (None, _) => Proof::None,
        (Some(_), None) => Proof::Wrong,
        (Some(signature), Some(key)) => {
            let outcome = verify_broadcast(&route(me, message), key, &message.text, signature);
            if outcome.is_ok() { Proof::Signed(*key) } else { Proof::Wrong }
        }
    }
}

fn opened(me: PeerId, secret: &SecretKey, message: InboxMessage) -> (InboxMessage, Proof) {
    let Some(sealed) = &message.sealed else { return (message, Proof::None) };
    let outcome = match message.from_key {
        Some(key) => {
            open(&route(me, &message), &key, secret, sealed).map(|letter| (letter, Proof::Signed(key)))
        }
        None => Err(SealingError::Signature),
    };
    match outcome {
        Ok((letter, proof)) => {
            let sent_at = told_time(message.sent_at, letter.written_at);
            (InboxMessage { text: letter.text, sealed: None, sent_at, ..message }, proof)
        }
        Err(error) => {
            tracing::warn!(from = %message.from, %error, "a message does not open");
            (InboxMessage { text: "".into(), sealed: None, ..message }, Proof::Wrong)
        }
    }
}

/// When a message was sent: by the directory's clock, unless the sender has written it clearly earlier. So an old message that a
/// directory delivers once more shows its age, and a wrong clock of a sender does not date a message into the future.
fn told_time(taken: Timestamp, written: Timestamp) -> Timestamp {
    if written.after(CLEARLY) < taken { written } else { taken }
}

/// Clocks of peers differ, and a message waits at its sender's while the directory is out of reach.
const CLEARLY: std::time::Duration = std::time::Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use dos_protocol::{
        MessageId, Seq,
        sealing::{Letter, seal, sealing_key, sign_broadcast},
    };

    use super::*;

    fn alice() -> PeerId {
        "7xKqPm2R".parse().unwrap()
    }

    fn bob() -> PeerId {
        "8yLrQn3S".parse().unwrap()
    }

    fn message(text: &str, sealed: Option<Vec<u8>>) -> InboxMessage {
        InboxMessage {
            message: MessageId::from([3; 16]),
            from: alice(),
            from_name: None,
            sent_at: Timestamp(10_000_000),
            text: text.into(),
            sealed: sealed.map(Vec::into_boxed_slice),
            from_key: None,
            signature: None,
        }
    }

    fn opened_one(me: PeerId, secret: &SecretKey, message: InboxMessage) -> (InboxMessage, Proof) {
        let update = Update::Message(Box::new(message));
        let arrival = Arrival::Update(Incoming { seq: Seq(1), at: Timestamp(0), update, proof: Proof::None });
        assert!(any(std::slice::from_ref(&arrival)));
        match open_all(me, secret, vec![arrival]).pop() {
            Some(Arrival::Update(Incoming { update: Update::Message(message), proof, .. })) => {
                (*message, proof)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sealed_message_is_opened_and_anything_else_proves_nothing_or_too_little() {
        let (sender, me) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let key = sender.public().unwrap();
        let letter = Letter { written_at: Timestamp(10_000_500), text: "hello".into() };
        let route = Route { from: alice(), to: bob(), message: MessageId::from([3; 16]) };
        let to = (&me.public().unwrap(), &sealing_key(&me).unwrap());
        let sealed = seal(&route, &sender, to, &letter).unwrap();
        let good = InboxMessage { from_key: Some(key), ..message("", Some(sealed.clone())) };
        let (taken, proof) = opened_one(bob(), &me, good.clone());
        assert_eq!(
            (&*taken.text, taken.sent_at, proof),
            ("hello", Timestamp(10_000_000), Proof::Signed(key))
        );
        let other = SecretKey::generate().unwrap().public().unwrap();
        for bad in [
            InboxMessage { from_key: None, ..good.clone() },
            InboxMessage { from_key: Some(other), ..good.clone() },
            InboxMessage { from: bob(), ..good.clone() },
            InboxMessage { sealed: Some(sealed[1..].into()), ..good },
        ] {
            let (taken, proof) = opened_one(bob(), &me, bad);
            assert_eq!((&*taken.text, proof), ("", Proof::Wrong));
        }
        let (taken, proof) = opened_one(bob(), &me, message("plain", None));
        assert_eq!((&*taken.text, proof), ("plain", Proof::None));
    }

    #[test]
    fn a_broadcast_proves_who_has_signed_it() {
        let sender = SecretKey::generate().unwrap();
        let key = sender.public().unwrap();
        let route = Route { from: alice(), to: bob(), message: MessageId::from([3; 16]) };
        let signature = sign_broadcast(&route, &sender, "tea").unwrap();
        let signed = InboxMessage { from_key: Some(key), signature: Some(signature), ..message("tea", None) };
        assert_eq!(of_broadcast(bob(), &signed), Proof::Signed(key));
        assert_eq!(of_broadcast(bob(), &InboxMessage { text: "tee".into(), ..signed.clone() }), Proof::Wrong);
        assert_eq!(of_broadcast(bob(), &InboxMessage { from_key: None, ..signed.clone() }), Proof::Wrong);
        assert_eq!(of_broadcast(bob(), &InboxMessage { signature: None, ..signed }), Proof::None);
    }

    #[test]
    fn an_old_message_shows_its_age() {
        let hour = 3_600_000;
        assert_eq!(told_time(Timestamp(10 * hour), Timestamp(9 * hour)), Timestamp(10 * hour));
        assert_eq!(told_time(Timestamp(10 * hour), Timestamp(9 * hour - 1)), Timestamp(9 * hour - 1));
        assert_eq!(told_time(Timestamp(10 * hour), Timestamp(20 * hour)), Timestamp(10 * hour));
    }
}
