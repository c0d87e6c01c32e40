//! Long outcomes for a caller that takes them in one piece.

use dos_protocol::control::Outcome;

/// The parts of an outcome that are kept back until its last one is there.
#[derive(Debug, Default)]
pub(crate) struct Kept(Option<Outcome>);

impl Kept {
    /// Keeps one more.
    pub(crate) fn add(&mut self, part: Outcome) {
        self.0 = Some(self.with(part));
    }

    /// All of them with the last one.
    pub(crate) fn with(&mut self, last: Outcome) -> Outcome {
        match self.0.take() {
            Some(first) => joined(first, last),
            None => last,
        }
    }
}

fn joined(first: Outcome, second: Outcome) -> Outcome {
    match (first, second) {
        (
            Outcome::Grants { given, received, .. },
            Outcome::Grants { given: more_given, received: more_received, now },
        ) => Outcome::Grants {
            given: [given, more_given].concat(),
            received: [received, more_received].concat(),
            now,
        },
        (
            Outcome::Requests { incoming, outgoing, contacts },
            Outcome::Requests { incoming: more_incoming, outgoing: more_outgoing, contacts: more_contacts },
        ) => Outcome::Requests {
            incoming: [incoming, more_incoming].concat(),
            outgoing: [outgoing, more_outgoing].concat(),
            contacts: [contacts, more_contacts].concat(),
        },
        (Outcome::Messages { messages, .. }, Outcome::Messages { messages: later, more }) => {
            Outcome::Messages { messages: [messages, later].concat(), more }
        }
        (Outcome::Blocks(blocks), Outcome::Blocks(more)) => Outcome::Blocks([blocks, more].concat()),
        (Outcome::Contacts(contacts), Outcome::Contacts(more)) => {
            Outcome::Contacts([contacts, more].concat())
        }
        // Nothing else comes in parts.
        (_, last) => last,
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Timestamp, directory::Block};

    use super::*;

    #[test]
    fn parts_are_one_outcome_in_their_order() {
        let block = |since| Block { peer: "7xKqPm2R".parse().unwrap(), name: None, since: Timestamp(since) };
        let mut kept = Kept::default();
        kept.add(Outcome::Blocks(vec![block(1)]));
        kept.add(Outcome::Blocks(vec![block(2)]));
        let all = Outcome::Blocks(vec![block(1), block(2), block(3)]);
        assert_eq!(kept.with(Outcome::Blocks(vec![block(3)])), all);
        assert_eq!(kept.with(Outcome::Done), Outcome::Done);
    }
}
