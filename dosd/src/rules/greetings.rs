//! Greetings: what a guest and its inviter say to each other, taken into the other's inbox like a message and not read.

use dos_protocol::{
    PeerId, WireError,
    directory::{Greet, Greeted, Update},
};

use super::{
    Owe,
    blocks::across::{self, Act, Between},
    inbox::Cause,
    names::PeerRecord,
    quota::{Adding, Quotas, Waiting, check_room},
    refusal::invalid,
};

/// What a greeting is decided on.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) sender: PeerId,
    pub(crate) to: PeerRecord,
    pub(crate) between: Between,
    /// What waits for the recipient.
    pub(crate) waiting: Waiting,
    pub(crate) quotas: Quotas,
}

/// Takes a greeting. A block of its sender takes it away, as it does a request.
pub(crate) fn greet(state: &Greeter, greet: Greet) -> Result<Owe, WireError> {
    if state.to.id == state.sender {
        return Err(invalid("a greeting goes to another peer"));
    }
    across::admit(Act::Write, state.between, (state.to.id, state.to.name.as_ref()))?;
    let bytes = u64::try_from(greet.greeting.as_bytes().len()).unwrap_or(u64::MAX);
    check_room(state.waiting, Adding::Letter(bytes), &state.quotas)?;
    let greeted = Greeted { from: state.sender, greeting: greet.greeting };
    let owe = Owe::to(state.to.id, Update::Greeting(Box::new(greeted)));
    Ok(owe.caused_by(state.sender, Cause::Request))
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Code, Reason};

    use super::{super::samples::*, *};

    fn state() -> Greeter {
        Greeter {
            sender: alice(),
            to: record(),
            between: Between::default(),
            waiting: Waiting::default(),
            quotas: Quotas::default(),
        }
    }

    fn word() -> Greet {
        Greet { to: bob(), greeting: vec![1, 2, 3].try_into().unwrap() }
    }

    #[test]
    fn a_greeting_is_owed_to_its_recipient_because_of_its_sender() {
        let greeted = Greeted { from: alice(), greeting: word().greeting };
        let update = Update::Greeting(Box::new(greeted));
        let expected = Owe { peer: bob(), update, cause: Some((alice(), Cause::Request)) };
        assert_eq!(greet(&state(), word()), Ok(expected));
    }

    #[test]
    fn a_greeting_has_the_bounds_of_a_message() {
        let full = Waiting { letters: 1_000, all: 1_000, ..Waiting::default() };
        let sent = Waiting { sent_bytes: Quotas::default().sent_bytes - 2, ..Waiting::default() };
        let blocked = Between { by_other: true, by_actor: false };
        for (state, code, reason) in [
            (Greeter { sender: bob(), ..state() }, Code::Invalid, None),
            (Greeter { between: blocked, ..state() }, Code::Denied, Some(Reason::Blocked)),
            (Greeter { waiting: full, ..state() }, Code::Denied, Some(Reason::Limit)),
            (Greeter { waiting: sent, ..state() }, Code::Denied, Some(Reason::Limit)),
        ] {
            let error = greet(&state, word()).unwrap_err();
            assert_eq!((error.code, error.reason), (code, reason), "{state:?}");
        }
        let sent = Waiting { sent_bytes: Quotas::default().sent_bytes - 3, ..Waiting::default() };
        assert!(greet(&Greeter { waiting: sent, ..state() }, word()).is_ok());
    }
}
