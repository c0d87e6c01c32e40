//! The age of data: whether the directory's is older than what a peer has of it, and whether a peer's is older than what the
//! directory has seen of it.
//!
//! A directory whose data went back in time is in another *incarnation*. `dosd restore` makes one; so does a peer that proves that
//! it has stored updates which this data never sent. A peer could lie about that: then every peer asserts once what it knows, which
//! changes nothing. So that no peer makes the others do that without end, an incarnation that peers have brought about lasts a day at least.

use std::time::Duration;

use dos_protocol::{
    Incarnation, Seq, Timestamp,
    directory::{Attempt, PeerState},
};

/// When the data's incarnation began, in milliseconds: of two the later one has the higher number, and the first one has 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// That of data that was renewed then, if it was.
    #[must_use]
    pub fn of(renewed_at: Option<Timestamp>) -> Self {
        Self(renewed_at.map_or(0, |at| u64::try_from(at.0).unwrap_or(0)))
    }

    /// To be kept as a number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// What was kept as a number.
    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// See the module. Data that is put back from an older copy brings the older time with it, so it is noticed on the same day too.
const LASTS: Duration = Duration::from_secs(24 * 3600);

/// By how much later, at least, an incarnation begins than the one before it, whatever the clock says.
const APART: Duration = Duration::from_secs(1_000);

/// When an incarnation begins that takes the place of this one.
pub(crate) fn begins(before: Option<Timestamp>, now: Timestamp) -> Timestamp {
    now.max(before.unwrap_or(Timestamp(0)).after(APART))
}

/// The first revision that grants have in an incarnation that began then: the moment. No grant changes once in every millisecond, so
/// this is beyond every revision of earlier incarnations, those too that this data knows nothing of because it was put back from a
/// copy of before them. And so the revision of a state tells whether it is one of this incarnation.
pub(crate) fn first_revision(began: Timestamp) -> u64 {
    u64::try_from(began.0).unwrap_or(0)
}

/// What the directory has of a peer that signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arriving {
    /// The incarnation of the data.
    pub(crate) incarnation: Incarnation,
    /// When it began; nothing of the first one.
    pub(crate) renewed_at: Option<Timestamp>,
    /// That in which the peer signed in last.
    pub(crate) met: Option<Incarnation>,
    /// The highest of the peer's attempts.
    pub(crate) attempt: Option<Attempt>,
    /// The first row that waits in its inbox.
    pub(crate) first: Option<Seq>,
    /// The last row that was ever added.
    pub(crate) latest: Seq,
    /// When the row came about that the peer has stored last, if it waits.
    pub(crate) row_at: Option<Timestamp>,
}

/// What a peer tells when it signs in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The last update that it has stored.
    pub(crate) stored: Seq,
    /// What it knows of the age of data; nothing of an older program.
    pub(crate) state: Option<&'a PeerState>,
}

/// What comes of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    /// The peer's state was put back from a copy.
    pub(crate) restored: bool,
    /// From now on the data is in another incarnation.
    pub(crate) renews: bool,
    /// By how much the numbers of the rows that wait are raised.
    pub(crate) raise: u64,
    /// Updates after this one follow.
    pub(crate) since: Seq,
    /// The last update.
    pub(crate) latest: Seq,
}

/// Decides a sign-in.
///
/// A peer's numbers never go back. Of a peer that has stored what this data never sent, or sent otherwise, every row that waits gets
/// a number behind those: rows that it has already change nothing, since each carries its whole state and its ID.
pub(crate) fn enter(peer: &Arriving, told: Told<'_>, now: Timestamp) -> Entered {
    let attempt = told.state.map(|state| state.attempt);
    let restored = attempt.is_some_and(|attempt| is_restored(peer.attempt, attempt));
    let renews = renews(peer, told, now);
    if !is_ahead(peer, told) {
        let gone = peer.first.map_or(peer.latest, |first| Seq(first.0.saturating_sub(1)));
        return Entered { restored, renews, raise: 0, since: told.stored.max(gone), latest: peer.latest };
    }
    let (first, waiting) = match peer.first {
        Some(first) => (first.0, peer.latest.0.saturating_sub(first.0).saturating_add(1)),
        None => (told.stored.0.saturating_add(1), 0),
    };
    let raise = told.stored.0.saturating_add(1).saturating_sub(first);
    let latest = Seq(told.stored.0.saturating_add(waiting));
    Entered { restored, renews, raise, since: told.stored, latest }
}

/// Whether this attempt was made by a state that is older than one that signed in before. The same attempt again is a repetition.
fn is_restored(highest: Option<Attempt>, attempt: Attempt) -> bool {
    highest.is_some_and(|highest| attempt.number <= highest.number && attempt != highest)
}

/// The highest of a peer's attempts, with this one. A state that was put back from a copy goes on behind it.
pub(crate) fn highest(peer: &Arriving, told: Told<'_>) -> u64 {
    let before = peer.attempt.map_or(0, |highest| highest.number);
    told.state.map_or(before, |state| state.attempt.number.max(before))
}

/// Whether the peer has stored updates that this data has not sent.
fn is_ahead(peer: &Arriving, told: Told<'_>) -> bool {
    if told.stored > peer.latest {
        return true;
    }
    let waits = peer.first.is_some_and(|first| first <= told.stored);
    match (peer.row_at, told.state.and_then(|state| state.stored_at)) {
        (Some(here), Some(there)) => here != there,
        // Nothing tells whether the rows that wait are those that it has: it is sent them once more.
        _ => waits && peer.renewed_at.is_some() && peer.met != Some(peer.incarnation),
    }
}

/// Whether a peer proves that the data went back: it has met another incarnation than the first one, which this is; or it is ahead
/// within this one. A peer that is ahead and was not here in this incarnation proves only what is known already.
fn renews(peer: &Arriving, told: Told<'_>, now: Timestamp) -> bool {
    let met = told.state.and_then(|state| state.incarnation);
    if peer.renewed_at.is_none() && met.is_some_and(|met| met != peer.incarnation) {
        return true;
    }
    let is_recent = peer.renewed_at.is_some_and(|at| at > now.before(LASTS));
    let is_of_this = peer.met == Some(peer.incarnation) && met.is_none_or(|met| met == peer.incarnation);
    is_ahead(peer, told) && is_of_this && !is_recent
}

#[cfg(test)]
mod tests {
    use dos_protocol::Nonce;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn incarnation(byte: u8) -> Incarnation {
        Incarnation::from([byte; 16])
    }

    fn attempt(number: u64, nonce: u8) -> Attempt {
        Attempt { number, nonce: Nonce::from([nonce; 16]) }
    }

    /// Rows 8 to 10 wait; the peer was here in this incarnation.
    fn peer() -> Arriving {
        Arriving {
            incarnation: incarnation(1),
            renewed_at: None,
            met: Some(incarnation(1)),
            attempt: Some(attempt(5, 1)),
            first: Some(Seq(8)),
            latest: Seq(10),
            row_at: None,
        }
    }

    fn state() -> PeerState {
        PeerState { attempt: attempt(6, 2), incarnation: Some(incarnation(1)), stored_at: None }
    }

    fn entered(peer: &Arriving, stored: u64, state: Option<&PeerState>) -> (u64, u64, u64, bool) {
        let entered = enter(peer, Told { stored: Seq(stored), state }, NOW);
        (entered.since.0, entered.latest.0, entered.raise, entered.renews)
    }

    #[test]
    fn a_peer_goes_on_behind_what_it_has_stored_or_what_is_gone() {
        let empty = Arriving { first: None, ..peer() };
        for (peer, stored, expected) in [
            (peer(), 0, (7, 10, 0, false)),
            (peer(), 7, (7, 10, 0, false)),
            (peer(), 8, (8, 10, 0, false)),
            (peer(), 10, (10, 10, 0, false)),
            (empty.clone(), 3, (10, 10, 0, false)),
            (empty.clone(), 10, (10, 10, 0, false)),
            // Ahead.
            (peer(), 11, (11, 14, 4, true)),
            (peer(), 20, (20, 23, 13, true)),
            (empty, 11, (11, 11, 0, true)),
        ] {
            assert_eq!(entered(&peer, stored, Some(&state())), expected, "{stored} {peer:?}");
        }
    }

    #[test]
    fn a_row_of_another_moment_is_another_row() {
        let with = |row_at: Option<i64>| Arriving { row_at: row_at.map(Timestamp), ..peer() };
        let told = |at: Option<i64>| PeerState { stored_at: at.map(Timestamp), ..state() };
        for (row, at, expected) in [
            (Some(5), Some(5), (9, 10, 0, false)),
            (Some(5), Some(6), (9, 12, 2, true)),
            (Some(5), None, (9, 10, 0, false)),
            (None, Some(6), (9, 10, 0, false)),
        ] {
            assert_eq!(entered(&with(row), 9, Some(&told(at))), expected, "{row:?} {at:?}");
        }
    }

    #[test]
    fn rows_that_may_be_other_ones_are_sent_once_more_after_a_restore() {
        let restored = Arriving { renewed_at: Some(Timestamp(1)), met: Some(incarnation(9)), ..peer() };
        let (row_at, stored_at) = (Some(Timestamp(5)), Some(Timestamp(5)));
        let same = PeerState { stored_at, ..state() };
        for (peer, stored, state, expected) in [
            (restored.clone(), 9, Some(state()), (9, 12, 2, false)),
            (restored.clone(), 9, None, (9, 12, 2, false)),
            (restored.clone(), 8, None, (8, 11, 1, false)),
            (restored.clone(), 7, None, (7, 10, 0, false)),
            (Arriving { row_at, ..restored.clone() }, 9, Some(same), (9, 10, 0, false)),
            (Arriving { met: Some(incarnation(1)), ..restored.clone() }, 9, None, (9, 10, 0, false)),
            (Arriving { met: None, ..restored.clone() }, 9, None, (9, 12, 2, false)),
            (Arriving { renewed_at: None, ..restored }, 9, None, (9, 10, 0, false)),
        ] {
            assert_eq!(entered(&peer, stored, state.as_ref()), expected, "{stored} {peer:?}");
        }
    }

    #[test]
    fn only_a_peer_that_was_here_in_this_incarnation_proves_another_one_and_once_a_day() {
        let told = |of: Option<u8>| PeerState { incarnation: of.map(incarnation), ..state() };
        let day = 24 * 3600 * 1000;
        for (met, renewed_at, state, renews) in [
            (Some(1), None, Some(told(Some(1))), true),
            (Some(1), None, Some(told(None)), true),
            (Some(1), None, None, true),
            (Some(1), Some(1), Some(told(Some(2))), false),
            (Some(2), None, Some(told(Some(1))), false),
            // It has met another one, and this is the first.
            (Some(1), None, Some(told(Some(2))), true),
            (None, None, Some(told(Some(2))), true),
            (None, None, None, false),
            (Some(1), Some(NOW.0 - day), Some(told(Some(1))), true),
            (Some(1), Some(NOW.0 - day + 1), Some(told(Some(1))), false),
            (Some(1), Some(NOW.0 + day), Some(told(Some(1))), false),
        ] {
            let peer =
                Arriving { met: met.map(incarnation), renewed_at: renewed_at.map(Timestamp), ..peer() };
            let entered = entered(&peer, 20, state.as_ref());
            assert_eq!(entered, (20, 23, 13, renews), "{met:?} {renewed_at:?} {state:?}");
        }
    }

    #[test]
    fn a_peer_that_is_not_ahead_proves_nothing_unless_it_has_met_another_incarnation_than_the_first() {
        let told = |of| PeerState { incarnation: Some(incarnation(of)), ..state() };
        for (renewed_at, of, renews) in
            [(None, 1, false), (None, 2, true), (Some(1), 1, false), (Some(1), 2, false)]
        {
            let peer = Arriving { renewed_at: renewed_at.map(Timestamp), ..peer() };
            assert_eq!(entered(&peer, 9, Some(&told(of))), (9, 10, 0, renews), "{renewed_at:?} {of}");
        }
    }

    #[test]
    fn an_attempt_that_does_not_rise_is_that_of_a_copy() {
        for (highest, told, restored) in [
            (None, Some(attempt(0, 1)), false),
            (Some(attempt(5, 1)), None, false),
            (Some(attempt(5, 1)), Some(attempt(6, 1)), false),
            (Some(attempt(5, 1)), Some(attempt(5, 1)), false),
            (Some(attempt(5, 1)), Some(attempt(5, 2)), true),
            (Some(attempt(5, 1)), Some(attempt(4, 1)), true),
        ] {
            let peer = Arriving { attempt: highest, ..peer() };
            let state = told.map(|attempt| PeerState { attempt, ..state() });
            for stored in [8, 20] {
                let told = Told { stored: Seq(stored), state: state.as_ref() };
                assert_eq!(enter(&peer, told, NOW).restored, restored, "{highest:?} {told:?}");
                let most = [highest, state.as_ref().map(|state| state.attempt)];
                let most = most.into_iter().flatten().map(|attempt| attempt.number).max();
                assert_eq!(super::highest(&peer, told), most.unwrap_or(0), "{highest:?} {told:?}");
            }
        }
    }

    #[test]
    fn revisions_of_an_incarnation_are_beyond_those_of_all_before() {
        let apart = 1_000_000;
        for (before, now, began) in [
            (None, NOW.0, NOW.0),
            (Some(NOW.0 - apart - 1), NOW.0, NOW.0),
            (Some(NOW.0 - apart + 1), NOW.0, NOW.0 + 1),
            // The clock was put back, or begins in 1970.
            (Some(NOW.0), 5, NOW.0 + apart),
            (None, 5, apart),
        ] {
            assert_eq!(begins(before.map(Timestamp), Timestamp(now)), Timestamp(began), "{before:?} {now}");
        }
        assert_eq!(first_revision(NOW), 1_000_000_000_000);
        assert_eq!(first_revision(Timestamp(-1)), 0);
    }

    #[test]
    fn numbers_at_their_end_do_not_wrap() {
        let far = Arriving { first: Some(Seq(u64::MAX)), latest: Seq(u64::MAX), ..peer() };
        assert_eq!(entered(&far, u64::MAX, None), (u64::MAX, u64::MAX, 0, false));
    }
}
