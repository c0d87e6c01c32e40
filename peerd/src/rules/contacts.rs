//! Direct messages: who may send them. Peers that this one has to do with may, and those that were approved; others become a
//! request for contact.

use dos_protocol::{
    Timestamp,
    directory::RequestState,
    limits::{CONTACTS_MAX, CONTACTS_PENDING_MAX, DIRECT_UNREAD_MAX},
};

/// What is known of a direct message and its sender when it arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The message is here already.
    pub(crate) is_here: bool,
    /// The sender is this peer itself.
    pub(crate) is_self: bool,
    /// The sender is blocked.
    pub(crate) is_blocked: bool,
    /// How the sender's request for contact stands, if there is one.
    pub(crate) contact: Option<RequestState>,
    /// There is a grant, a request or a message between the two.
    pub(crate) is_acquainted: bool,
    /// Direct messages of the sender that are unread.
    pub(crate) unread: u64,
    /// Requests for contact that wait for an answer.
    pub(crate) pending: u64,
    /// Requests for contact altogether.
    pub(crate) contacts: u64,
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is here: the sender did not get the answer.
    Known,
    /// It is refused.
    Refuse,
    /// It is refused until earlier ones are read.
    Full,
    /// It is stored.
    Store,
    /// The sender waits for an answer already.
    Waits,
    /// The user is asked about the sender.
    Ask,
    /// It is refused, as too many wait for an answer.
    Crowded,
}

/// What is done with a direct message.
pub(crate) fn receive(facts: &Facts) -> Decision {
    if facts.is_here {
        return Decision::Known;
    }
    if facts.is_self || facts.is_blocked {
        return Decision::Refuse;
    }
    let welcome = match facts.contact {
        Some(RequestState::Approved) => true,
        Some(RequestState::Denied | RequestState::Cancelled) => return Decision::Refuse,
        Some(RequestState::Pending) | None => facts.is_acquainted,
    };
    if welcome {
        return if facts.unread >= DIRECT_UNREAD_MAX { Decision::Full } else { Decision::Store };
    }
    if facts.contact.is_some() {
        Decision::Waits
    } else if facts.pending >= CONTACTS_PENDING_MAX || facts.contacts >= CONTACTS_MAX {
        Decision::Crowded
    } else {
        Decision::Ask
    }
}

/// When a message counts as sent: a sender's clock that is ahead would keep it at the end of the list for ever.
pub(crate) fn sent_at(claimed: Timestamp, now: Timestamp) -> Timestamp {
    claimed.min(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: Facts = Facts {
        is_here: false,
        is_self: false,
        is_blocked: false,
        contact: None,
        is_acquainted: false,
        unread: 0,
        pending: 0,
        contacts: 0,
    };

    fn contact(state: RequestState) -> Facts {
        Facts { contact: Some(state), ..STRANGER }
    }

    #[test]
    fn a_message_that_is_here_is_known_whatever_else_holds() {
        let facts = Facts { is_here: true, is_blocked: true, is_self: true, ..contact(RequestState::Denied) };
        assert_eq!(receive(&facts), Decision::Known);
    }

    #[test]
    fn every_sender_gets_the_decision_of_the_table() {
        use RequestState::{Approved, Cancelled, Denied, Pending};
        let friend = Facts { is_acquainted: true, ..STRANGER };
        for (facts, expected) in [
            (STRANGER, Decision::Ask),
            (friend, Decision::Store),
            (Facts { is_self: true, ..friend }, Decision::Refuse),
            (Facts { is_blocked: true, ..friend }, Decision::Refuse),
            (Facts { is_blocked: true, ..contact(Approved) }, Decision::Refuse),
            (contact(Approved), Decision::Store),
            (contact(Pending), Decision::Waits),
            (contact(Denied), Decision::Refuse),
            (contact(Cancelled), Decision::Refuse),
            (Facts { is_acquainted: true, ..contact(Pending) }, Decision::Store),
            (Facts { is_acquainted: true, ..contact(Denied) }, Decision::Refuse),
            (Facts { is_acquainted: true, ..contact(Cancelled) }, Decision::Refuse),
        ] {
            assert_eq!(receive(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn unread_messages_and_requests_for_contact_are_bounded() {
        let unread = |unread| Facts { is_acquainted: true, unread, ..STRANGER };
        let crowd = |pending, contacts| Facts { pending, contacts, ..STRANGER };
        for (facts, expected) in [
            (unread(999), Decision::Store),
            (unread(1_000), Decision::Full),
            (unread(1_001), Decision::Full),
            (crowd(99, 9_999), Decision::Ask),
            (crowd(100, 100), Decision::Crowded),
            (crowd(101, 101), Decision::Crowded),
            (crowd(0, 10_000), Decision::Crowded),
            (crowd(0, 10_001), Decision::Crowded),
        ] {
            assert_eq!(receive(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_is_not_believed() {
        for (claimed, now, expected) in [(1, 2, 1), (2, 2, 2), (3, 2, 2)] {
            assert_eq!(sent_at(Timestamp(claimed), Timestamp(now)), Timestamp(expected));
        }
    }
}
