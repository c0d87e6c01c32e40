//! Rows of an inbox: what they are about, and which numbers they have.

use dos_protocol::PeerId;

/// What a peer did that an update is about, if it takes the peer's share of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It sent a message. A block of the peer takes it away.
    Message,
    /// It made a request, or changed one: a block takes that away, and the refusal that comes with it takes its place.
    Request,
    /// It gave or changed a grant, or the image of one. No block takes that away.
    Grant,
}

/// The numbers of updates added for these peers, in their order, given the last number that each peer's inbox has after all of
/// them were added.
pub(crate) fn numbered(peers: &[PeerId], latest: impl Fn(PeerId) -> u64) -> Vec<u64> {
    let mut last = std::collections::HashMap::<PeerId, u64>::new();
    let mut numbers: Vec<u64> = peers
        .iter()
        .rev()
        .map(|peer| {
            let next = last.entry(*peer).or_insert_with(|| latest(*peer));
            let number = *next;
            *next = next.saturating_sub(1);
            number
        })
        .collect();
    numbers.reverse();
    numbers
}

#[cfg(test)]
mod tests {
    use super::{super::samples::*, *};

    #[test]
    fn numbers_are_given_in_order_to_each_peer() {
        let latest = |peer| if peer == alice() { 7 } else { 3 };
        assert_eq!(numbered(&[alice(), bob(), alice(), alice()], latest), [5, 3, 6, 7]);
        assert!(numbered(&[], latest).is_empty());
    }
}
