//! Which inbox rows a session sends next: a pure account of what was sent, acknowledged and is known to wait.
//!
//! Rows go out in order and without a gap. A live row that is the next one is sent as it is; any other difference is
//! made up from the store. At most [`UPDATES_UNACKED_MAX`] rows are in flight until the peer has acknowledged one.

use dos_protocol::{Seq, limits::UPDATES_UNACKED_MAX};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    sent: Seq,
    acked: Seq,
    /// The acknowledgement up to which rows are deleted in the store.
    forgotten: Seq,
    /// The last row that waited when the session began, if any did.
    backlog: Seq,
}

/// Acknowledged rows are deleted when there are this many, when they are all that waited, or when the session has time: one
/// transaction for each would cost as much as the change that caused the row.
const FORGET_AT_ONCE: u64 = 64;

impl Replay {
    /// The peer has stored everything up to `stored`; rows up to `latest` wait.
    pub(super) fn after(stored: Seq, latest: Seq) -> Self {
        let backlog = if latest > stored { latest } else { Seq(0) };
        Self { sent: stored, acked: stored, forgotten: Seq(0), backlog }
    }

    fn has_room(&self) -> bool {
        self.sent.0.saturating_sub(self.acked.0) < u64::try_from(UPDATES_UNACKED_MAX).unwrap_or(u64::MAX)
    }

    /// Whether a row with this number goes out now. If so it counts as sent.
    pub(super) fn takes(&mut self, seq: Seq) -> bool {
        let takes = seq == self.sent.next() && self.has_room();
        if takes {
            self.sent = seq;
        }
        takes
    }

    /// After which row to read on in the store, given the last one that is known; `None` while there is nothing to read
    /// or the peer has to acknowledge first.
    pub(super) fn wants(&self, latest: Seq) -> Option<Seq> {
        (latest > self.sent && self.has_room()).then_some(self.sent)
    }

    /// Whether the rows that were read from the store go on where this session is. If not, another session of the peer, with
    /// newer state, has acknowledged the rows between, and they are deleted.
    pub(super) fn goes_on_with(&self, first: Option<Seq>) -> bool {
        first == Some(self.sent.next())
    }

    /// The peer has stored everything up to `seq`. False if that was never sent.
    pub(super) fn acknowledge(&mut self, seq: Seq) -> bool {
        if seq > self.sent {
            return false;
        }
        self.acked = self.acked.max(seq);
        true
    }

    /// Up to which row the store can forget, if that is worth a transaction.
    pub(super) fn forget(&mut self, has_time: bool) -> Option<Seq> {
        let waiting = self.acked.0.saturating_sub(self.forgotten.0);
        // Senders wait for news of what waited.
        let is_through = self.forgotten < self.backlog && self.acked >= self.backlog;
        let worth = waiting >= FORGET_AT_ONCE || (has_time && waiting > 0) || is_through;
        worth.then(|| {
            self.forgotten = self.acked;
            self.acked
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_out_in_order_and_gaps_are_read_from_the_store() {
        let mut replay = Replay::after(Seq(5), Seq(5));
        assert!(!replay.takes(Seq(5)), "sent before");
        assert!(!replay.takes(Seq(7)), "a gap");
        assert_eq!(replay.wants(Seq(7)), Some(Seq(5)));
        assert!(replay.takes(Seq(6)) && replay.takes(Seq(7)));
        assert_eq!(replay.wants(Seq(7)), None);
    }

    #[test]
    fn a_peer_that_does_not_acknowledge_is_waited_for() {
        let mut replay = Replay::after(Seq(0), Seq(0));
        let window = u64::try_from(UPDATES_UNACKED_MAX).unwrap();
        assert!((1..=window).all(|seq| replay.takes(Seq(seq))));
        assert!(!replay.takes(Seq(window + 1)));
        assert_eq!(replay.wants(Seq(window + 1)), None);
        assert!(replay.acknowledge(Seq(1)));
        assert_eq!(replay.wants(Seq(window + 1)), Some(Seq(window)));
    }

    #[test]
    fn rows_that_are_gone_are_noticed() {
        let replay = Replay::after(Seq(5), Seq(5));
        assert!(replay.goes_on_with(Some(Seq(6))));
        assert!(!replay.goes_on_with(Some(Seq(8))) && !replay.goes_on_with(None));
    }

    #[test]
    fn what_was_never_sent_cannot_be_acknowledged() {
        let mut replay = Replay::after(Seq(3), Seq(3));
        assert!(!replay.acknowledge(Seq(4)));
        assert!(replay.acknowledge(Seq(3)));
    }

    #[test]
    fn rows_are_forgotten_in_bunches_or_when_there_is_time() {
        let mut replay = Replay::after(Seq(0), Seq(0));
        assert!((1..=FORGET_AT_ONCE).all(|seq| replay.takes(Seq(seq))));
        assert!(replay.acknowledge(Seq(FORGET_AT_ONCE - 1)));
        assert_eq!(replay.forget(false), None);
        assert_eq!(replay.forget(true), Some(Seq(FORGET_AT_ONCE - 1)));
        assert_eq!(replay.forget(true), None);
    }

    #[test]
    fn rows_that_waited_are_forgotten_as_soon_as_all_are_stored() {
        let mut replay = Replay::after(Seq(5), Seq(7));
        assert!((6..=9).all(|seq| replay.takes(Seq(seq))));
        for (acked, forgotten) in [(6, None), (7, Some(Seq(7))), (8, None), (9, None)] {
            assert!(replay.acknowledge(Seq(acked)));
            assert_eq!(replay.forget(false), forgotten, "{acked}");
        }
        let mut nothing_waited = Replay::after(Seq(5), Seq(5));
        assert!(nothing_waited.takes(Seq(6)) && nothing_waited.acknowledge(Seq(6)));
        assert_eq!(nothing_waited.forget(false), None);
    }
}
