//! Room for the copies of others: which are dropped for a new one, and which are fetched ahead.

use dos_protocol::{
    SealedHash, Timestamp,
    model::{Grant, GrantState, SealedCopy},
};

/// A received copy that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cached {
    /// Which.
    pub(crate) hash: SealedHash,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Whether views of it are held: without it they could not be used.
    pub(crate) held: bool,
}

/// What the copies take together.
pub(crate) fn total(copies: &[Cached]) -> u64 {
    copies.iter().fold(0, |sum, copy| sum.saturating_add(copy.bytes))
}

/// The copies to drop, of `copies` in the order of their last use, so that `wanted` fits into `bytes_max`; fewer than that takes
/// if the others are held or in use. The wanted copy itself may be among `copies`, with its size counted twice: a damaged one is
/// fetched beside its remains.
pub(crate) fn evict(
    copies: &[Cached],
    wanted: SealedCopy,
    bytes_max: u64,
    in_use: impl Fn(&SealedHash) -> bool,
) -> Vec<SealedHash> {
    let mut excess = total(copies).saturating_add(wanted.bytes).saturating_sub(bytes_max);
    let mut dropped = Vec::new();
    for copy in copies {
        if excess == 0 {
            break;
        }
        if !copy.held && copy.hash != wanted.hash && !in_use(&copy.hash) {
            dropped.push(copy.hash);
            excess = excess.saturating_sub(copy.bytes);
        }
    }
    dropped
}

/// Room for copies that are fetched ahead. Nothing is dropped for these, or two of them could evict each other for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    bytes: u64,
}

impl Room {
    /// What `taken` leaves of `bytes_max`.
    pub(crate) fn new(taken: u64, bytes_max: u64) -> Self {
        Self { bytes: bytes_max.saturating_sub(taken) }
    }

    /// Whether the copy of a grant is fetched ahead; its room is taken then. Others may fit where a large one does not.
    pub(crate) fn admit(&mut self, grant: &Grant, now: Timestamp) -> bool {
        let left = self.bytes.checked_sub(grant.sealed.bytes);
        match left.filter(|_| grant.state_at(now) == GrantState::Active) {
            Some(left) => {
                self.bytes = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::model::Allowance;

    use super::{
        super::samples::{grant, hash},
        *,
    };

    fn cached(byte: u8, bytes: u64) -> Cached {
        Cached { hash: hash(byte), bytes, held: false }
    }

    fn evicted(copies: &[Cached], wanted: (u8, u64), bytes_max: u64, in_use: &[u8]) -> Vec<SealedHash> {
        let wanted = SealedCopy { hash: hash(wanted.0), bytes: wanted.1 };
        evict(copies, wanted, bytes_max, |copy| in_use.iter().any(|byte| hash(*byte) == *copy))
    }

    #[test]
    fn no_more_copies_are_dropped_than_it_takes_the_least_recently_used_first() {
        let copies = [cached(1, 10), cached(2, 20), cached(3, 30)];
        for (bytes, bytes_max, dropped) in [
            (40, 100, vec![]),
            (41, 100, vec![1]),
            (50, 100, vec![1]),
            (51, 100, vec![1, 2]),
            (70, 100, vec![1, 2]),
            (71, 100, vec![1, 2, 3]),
            (1000, 100, vec![1, 2, 3]),
            (u64::MAX, u64::MAX, vec![]),
            (0, 0, vec![1, 2, 3]),
        ] {
            let expected: Vec<_> = dropped.into_iter().map(hash).collect();
            assert_eq!(evicted(&copies, (9, bytes), bytes_max, &[]), expected, "{bytes} into {bytes_max}");
        }
    }

    #[test]
    fn copies_that_are_held_in_use_or_wanted_stay() {
        let held = Cached { held: true, ..cached(1, 10) };
        let copies = [held, cached(2, 20), cached(3, 30), cached(4, 40)];
        assert_eq!(evicted(&copies, (3, 30), 0, &[2]), [hash(4)]);
        assert_eq!(evicted(&copies[..1], (9, 1), 0, &[]), []);
    }

    #[test]
    fn sums_do_not_overflow() {
        let copies = [cached(1, u64::MAX), cached(2, 1)];
        assert_eq!(total(&copies), u64::MAX);
        assert_eq!(total(&[cached(1, 2), cached(2, 3)]), 5);
        assert_eq!(total(&[]), 0);
        assert_eq!(evicted(&copies, (9, 1), u64::MAX, &[]), []);
        assert_eq!(Room::new(11, 10), Room { bytes: 0 });
    }

    #[test]
    fn copies_are_fetched_ahead_as_long_as_they_fit() {
        let of = |bytes| Grant { sealed: SealedCopy { hash: hash(1), bytes }, ..grant(1) };
        let mut room = Room::new(40, 100);
        for (bytes, fits, left) in [(61, false, 60), (60, true, 0), (1, false, 0), (0, true, 0)] {
            assert_eq!((room.admit(&of(bytes), Timestamp(5)), room.bytes), (fits, left), "{bytes}");
        }
    }

    #[test]
    fn a_grant_that_cannot_be_used_takes_no_room() {
        let expires = |at| Grant { expires_at: Some(Timestamp(at)), ..grant(1) };
        for (unusable, admitted) in [
            (Grant { revoked: true, ..grant(1) }, false),
            (Grant { views_left: Allowance::Views(0), ..grant(1) }, false),
            (expires(5), false),
            (expires(6), true),
        ] {
            let mut room = Room::new(0, 100);
            assert_eq!(room.admit(&unusable, Timestamp(5)), admitted, "{unusable:?}");
            assert_eq!(room.bytes, if admitted { 0 } else { 100 });
        }
    }
}
