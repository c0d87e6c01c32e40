//! A long outcome that comes in pieces, put together: grants, requests, messages, blocks, contacts.

use dos_protocol::{Code, control::Outcome};

use crate::{context::unexpected, error::Error};

/// The most entries of one outcome. A directory gives no peer as many, and they take less than a GiB of memory.
pub(crate) const ENTRIES_MAX: usize = 1_000_000;

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    joined: Option<Outcome>,
    entries: usize,
}

impl Pieces {
    /// Adds the next piece.
    ///
    /// # Errors
    /// `internal` if it does not belong to the others, or if there are too many.
    pub(crate) fn add(&mut self, piece: Outcome) -> Result<(), Error> {
        // A piece without entries counts, too: else there could be any number of them.
        let more = entries(&piece).ok_or_else(unexpected)?.max(1);
        self.entries = self.entries.saturating_add(more);
        if self.entries > ENTRIES_MAX {
            let text = format!("peerd gave an answer of more than {ENTRIES_MAX} entries");
            return Err(Error::new(Code::Internal, text));
        }
        match &mut self.joined {
            Some(joined) => join(joined, piece),
            None => {
                self.joined = Some(piece);
                Ok(())
            }
        }
    }

    /// The whole outcome, which ends with `last`.
    ///
    /// # Errors
    /// As in [`Pieces::add`].
    pub(crate) fn end(mut self, last: Outcome) -> Result<Outcome, Error> {
        if self.joined.is_none() {
            return Ok(last);
        }
        self.add(last)?;
        self.joined.ok_or_else(unexpected)
    }
}

/// The entries of an outcome that may come in pieces.
fn entries(piece: &Outcome) -> Option<usize> {
    match piece {
        Outcome::Grants { given, received, .. } => Some(given.len() + received.len()),
        Outcome::Requests { incoming, outgoing, contacts } => {
            Some(incoming.len() + outgoing.len() + contacts.len())
        }
        Outcome::Messages { messages, .. } => Some(messages.len()),
        Outcome::Blocks(blocks) => Some(blocks.len()),
        Outcome::Contacts(contacts) => Some(contacts.len()),
        _ => None,
    }
}

fn join(joined: &mut Outcome, piece: Outcome) -> Result<(), Error> {
    match (joined, piece) {
        (
            Outcome::Grants { given, received, now },
            Outcome::Grants { given: gave, received: got, now: later },
        ) => {
            given.extend(gave);
            received.extend(got);
            *now = later;
        }
        (
            Outcome::Requests { incoming, outgoing, contacts },
            Outcome::Requests { incoming: came, outgoing: went, contacts: wanted },
        ) => {
            incoming.extend(came);
            outgoing.extend(went);
            contacts.extend(wanted);
        }
        (Outcome::Messages { messages, more }, Outcome::Messages { messages: next, more: later }) => {
            messages.extend(next);
            *more = later;
        }
        (Outcome::Blocks(blocks), Outcome::Blocks(next)) => blocks.extend(next),
        (Outcome::Contacts(contacts), Outcome::Contacts(next)) => contacts.extend(next),
        _ => return Err(unexpected()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dos_protocol::{Timestamp, directory::Block};

    use super::*;

    fn blocks(since: std::ops::Range<i64>) -> Outcome {
        let block = |since| Block { peer: "9BobBobB".parse().unwrap(), name: None, since: Timestamp(since) };
        Outcome::Blocks(since.map(block).collect())
    }

    #[test]
    fn pieces_are_one_outcome_in_their_order() {
        let mut pieces = Pieces::default();
        pieces.add(blocks(0..2)).unwrap();
        pieces.add(blocks(2..2)).unwrap();
        assert_eq!(pieces.end(blocks(2..5)).unwrap(), blocks(0..5));
        assert_eq!(Pieces::default().end(Outcome::Told(3)).unwrap(), Outcome::Told(3));
    }

    #[test]
    fn the_last_page_of_messages_says_whether_there_are_more() {
        let page = |more| Outcome::Messages { messages: vec![], more };
        let mut pieces = Pieces::default();
        pieces.add(page(true)).unwrap();
        assert_eq!(pieces.end(page(false)).unwrap(), page(false));
    }

    #[test]
    fn pieces_of_different_outcomes_and_too_many_are_refused() {
        assert!(Pieces::default().add(Outcome::Told(3)).is_err());
        let mut pieces = Pieces::default();
        pieces.add(blocks(0..1)).unwrap();
        assert!(pieces.end(Outcome::Grants { given: vec![], received: vec![], now: None }).is_err());
        let mut pieces = Pieces { joined: None, entries: ENTRIES_MAX };
        assert!(pieces.add(blocks(0..0)).is_err());
    }
}
