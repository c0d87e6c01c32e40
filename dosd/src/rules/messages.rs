//! Messages: taken into the recipient's inbox, unless the recipient takes nothing from the sender or has no room.

use dos_protocol::{
    MessageId, PeerId, PeerName, PublicKey, Timestamp, WireError,
    directory::{Delivered, InboxMessage, Send, Update},
    limits::MESSAGE_BYTES_MAX,
    sealing::{SEALED_MESSAGE_BYTES_MAX, SEALED_OVERHEAD},
};

use super::{
    Owe,
    blocks::across::{self, Act, Between},
    inbox::Cause,
    names::PeerRecord,
    quota::{Adding, Quotas, Waiting, check_room},
    refusal::invalid,
};

/// What a message is decided on.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) sender: PeerId,
    pub(crate) sender_name: Option<PeerName>,
    pub(crate) sender_key: Option<PublicKey>,
    pub(crate) to: PeerRecord,
    pub(crate) between: Between,
    /// What waits for the recipient.
    pub(crate) waiting: Waiting,
    pub(crate) quotas: Quotas,
}

/// Takes a message that was not taken before.
pub(crate) fn send(state: &Sending, send: Send, now: Timestamp) -> Result<Owe, WireError> {
    if state.to.id == state.sender {
        return Err(invalid("a message goes to another peer"));
    }
    across::admit(Act::Write, state.between, (state.to.id, state.to.name.as_ref()))?;
    let bytes = send.text.len() + send.sealed.as_ref().map_or(0, |sealed| sealed.len());
    let adding = Adding::Letter(u64::try_from(bytes).unwrap_or(u64::MAX));
    check_room(state.waiting, adding, &state.quotas)?;
    let message = InboxMessage {
        message: send.message,
        from: state.sender,
        from_name: state.sender_name.clone(),
        sent_at: now,
        text: send.text,
        // The recipient learns the key with what it is needed for.
        from_key: send.sealed.is_some().then_some(state.sender_key).flatten(),
        sealed: send.sealed,
        signature: None,
    };
    let owe = Owe::to(state.to.id, Update::Message(Box::new(message)));
    Ok(owe.caused_by(state.sender, Cause::Message))
}

/// Refuses a message that is empty or too long, or has a text beside the sealed one.
pub(crate) fn check(send: &Send) -> Result<(), WireError> {
    match &send.sealed {
        None => check_text(&send.text),
        Some(_) if !send.text.is_empty() => Err(invalid("a sealed message has no other text")),
        Some(sealed) if sealed.len() <= SEALED_OVERHEAD => Err(invalid("a message says something")),
        Some(sealed) if sealed.len() > SEALED_MESSAGE_BYTES_MAX => Err(too_long()),
        Some(_) => Ok(()),
    }
}

fn too_long() -> WireError {
    invalid(format!("a message has at most {MESSAGE_BYTES_MAX} bytes"))
}

/// A message whose sender was told that it waits, and which its recipient has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) sender: PeerId,
    pub(crate) message: MessageId,
    /// Whether the sender knows such an update: one of the first releases does not.
    pub(crate) knows: bool,
}

/// Owes to the senders that their messages were stored.
pub(crate) fn delivered(recipient: PeerId, taken: Vec<Taken>) -> Vec<Owe> {
    let known = taken.into_iter().filter(|taken| taken.knows);
    known
        .map(|Taken { sender, message, .. }| {
            Owe::to(sender, Update::Delivered(Box::new(Delivered { message, to: recipient })))
        })
        .collect()
}

/// Refuses the text of a message that is empty or too long.
pub(crate) fn check_text(text: &str) -> Result<(), WireError> {
    if text.trim().is_empty() {
        return Err(invalid("a message says something"));
    }
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Code, Reason, model::PeerRef};

    use super::{super::samples::*, *};

    fn state() -> Sending {
        Sending {
            sender: alice(),
            sender_name: Some("alice".parse().unwrap()),
            to: record(),
            between: Between::default(),
            waiting: Waiting::default(),
            quotas: Quotas::default(),
            sender_key: Some([8; 32].into()),
        }
    }

    fn letter() -> Send {
        Send { message: MessageId::from([5; 16]), to: PeerRef::Id(bob()), text: "hello".into(), sealed: None }
    }

    #[test]
    fn a_message_is_owed_to_its_recipient_because_of_its_sender() {
        let message = InboxMessage {
            message: MessageId::from([5; 16]),
            from: alice(),
            from_name: Some("alice".parse().unwrap()),
            sent_at: NOW,
            text: "hello".into(),
            from_key: None,
            sealed: None,
            signature: None,
        };
        let expected = Owe {
            peer: bob(),
            update: Update::Message(Box::new(message)),
            cause: Some((alice(), Cause::Message)),
        };
        assert_eq!(send(&state(), letter(), NOW), Ok(expected));
    }

    #[test]
    fn a_sealed_message_comes_with_its_senders_key() {
        let sealed: Box<[u8]> = vec![7; SEALED_OVERHEAD + 5].into();
        let sealed_letter = Send { text: "".into(), sealed: Some(sealed.clone()), ..letter() };
        let Ok(Owe { update: Update::Message(message), .. }) = send(&state(), sealed_letter, NOW) else {
            panic!("not taken");
        };
        assert_eq!((message.sealed, message.from_key), (Some(sealed), Some([8; 32].into())));
        assert_eq!(&*message.text, "");
    }

    #[test]
    fn a_message_is_sealed_or_plain_and_not_too_long() {
        let sealed = |bytes: usize| Send { text: "".into(), sealed: Some(vec![0; bytes].into()), ..letter() };
        assert_eq!(check(&letter()), Ok(()));
        assert_eq!(check(&sealed(SEALED_OVERHEAD + 1)), Ok(()));
        assert_eq!(check(&sealed(SEALED_MESSAGE_BYTES_MAX)), Ok(()));
        let error = |send: &Send| check(send).unwrap_err();
        assert_eq!(&*error(&sealed(SEALED_OVERHEAD)).message, "a message says something");
        assert_eq!(
            &*error(&sealed(SEALED_MESSAGE_BYTES_MAX + 1)).message,
            "a message has at most 16384 bytes"
        );
        assert_eq!(&*error(&Send { text: "".into(), ..letter() }).message, "a message says something");
        let both = Send { text: "hello".into(), ..sealed(SEALED_OVERHEAD + 1) };
        assert_eq!(&*error(&both).message, "a sealed message has no other text");
    }

    #[test]
    fn what_is_not_taken_is_refused() {
        let full = Waiting { letters: 1_000, all: 1_000, ..Waiting::default() };
        let blocked = Between { by_other: true, by_actor: false };
        let blocking = Between { by_other: false, by_actor: true };
        for (state, code, reason) in [
            (Sending { sender: bob(), ..state() }, Code::Invalid, None),
            (Sending { between: blocked, ..state() }, Code::Denied, Some(Reason::Blocked)),
            (Sending { between: blocking, ..state() }, Code::Denied, Some(Reason::Blocked)),
            (Sending { waiting: full, ..state() }, Code::Denied, Some(Reason::Limit)),
            // The block is the reason that is given, also where the inbox is full.
            (Sending { between: blocked, waiting: full, ..state() }, Code::Denied, Some(Reason::Blocked)),
        ] {
            let error = send(&state, letter(), NOW).unwrap_err();
            assert_eq!((error.code, error.reason), (code, reason), "{state:?}");
        }
    }

    #[test]
    fn a_sender_that_knows_such_an_update_is_owed_that_its_message_was_stored() {
        let taken = |sender, number, knows| Taken { sender, message: MessageId::from([number; 16]), knows };
        let owed = delivered(
            bob(),
            vec![taken(alice(), 1, true), taken(carol(), 2, false), taken(alice(), 3, true)],
        );
        let update = |number| {
            let message = MessageId::from([number; 16]);
            Owe::to(alice(), Update::Delivered(Box::new(Delivered { message, to: bob() })))
        };
        assert_eq!(owed, [update(1), update(3)]);
    }

    #[test]
    fn a_text_has_1_to_16384_bytes_and_says_something() {
        assert_eq!(check_text("x"), Ok(()));
        assert_eq!(check_text(&"x".repeat(16_384)), Ok(()));
        let error = |text: &str| check_text(text).unwrap_err();
        assert_eq!(&*error("").message, "a message says something");
        assert_eq!(&*error(" \n\t").message, "a message says something");
        assert_eq!(&*error(&"x".repeat(16_385)).message, "a message has at most 16384 bytes");
        assert_eq!(error("").code, Code::Invalid);
    }
}
