//! Room: how much may wait for one peer.
//!
//! What a peer must learn (a revoked grant, an answer, a receipt) is owed without asking here.

use dos_protocol::{PeerId, WireError, limits};

use super::refusal::reached;

/// How much one peer may have in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Images.
    pub images: u64,
    /// Bytes of all previews.
    pub preview_bytes: u64,
    /// Updates that wait for one peer, before it gets no more messages, requests and grants.
    pub inbox_rows: u64,
    /// Of them messages and requests of one other peer.
    pub inbox_rows_per_sender: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            images: limits::IMAGES_PER_PEER_MAX.into(),
            preview_bytes: limits::PREVIEW_BYTES_PER_PEER,
            inbox_rows: limits::INBOX_ROWS_MAX.into(),
            inbox_rows_per_sender: limits::INBOX_ROWS_PER_SENDER.into(),
        }
    }
}

/// What a peer did that an update is about, if a block of that peer takes the update away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It sent a message.
    Message,
    /// It made a request, or changed one: superseded by the refusal that comes with the block.
    Request,
}

/// What waits for one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Messages and requests of the sender that wants to add one.
    pub(crate) of_sender: u64,
    /// All updates.
    pub(crate) all: u64,
}

/// Refuses to owe a peer more than it has room for.
pub(crate) fn check_room(waiting: Waiting, quotas: &Quotas) -> Result<(), WireError> {
    let most = quotas.inbox_rows_per_sender;
    if waiting.of_sender >= most {
        let why = format!("{most} messages and requests of yours wait for this peer already");
        return Err(reached("inbox_rows_per_sender", &why));
    }
    if waiting.all >= quotas.inbox_rows {
        return Err(reached("inbox_rows_max", "too much waits for this peer already"));
    }
    Ok(())
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
    fn the_defaults_are_those_that_the_documents_name() {
        let expected = Quotas {
            images: 100_000,
            preview_bytes: 1_073_741_824,
            inbox_rows: 100_000,
            inbox_rows_per_sender: 1_000,
        };
        assert_eq!(Quotas::default(), expected);
    }

    #[test]
    fn an_inbox_is_full_at_its_limits_and_not_before() {
        let quotas = Quotas { inbox_rows: 10, inbox_rows_per_sender: 3, ..Quotas::default() };
        for (of_sender, all, refused) in [
            (0, 0, None),
            (2, 9, None),
            (
                3,
                9,
                Some(
                    "3 messages and requests of yours wait for this peer already (limit inbox_rows_per_sender)",
                ),
            ),
            (
                4,
                10,
                Some(
                    "3 messages and requests of yours wait for this peer already (limit inbox_rows_per_sender)",
                ),
            ),
            (2, 10, Some("too much waits for this peer already (limit inbox_rows_max)")),
            (0, 11, Some("too much waits for this peer already (limit inbox_rows_max)")),
        ] {
            let result = check_room(Waiting { of_sender, all }, &quotas);
            let text = result.err().map(|error| error.message);
            assert_eq!(text.as_deref(), refused, "{of_sender} of {all}");
        }
    }

    #[test]
    fn numbers_are_given_in_order_to_each_peer() {
        let latest = |peer| if peer == alice() { 7 } else { 3 };
        assert_eq!(numbered(&[alice(), bob(), alice(), alice()], latest), [5, 3, 6, 7]);
        assert!(numbered(&[], latest).is_empty());
    }
}
