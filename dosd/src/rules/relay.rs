//! Which calls are relayed: what each peer may take of the relay's room.
//!
//! What always holds: a ticket counts against the peer that asked for it alone until both sides have come, so that no peers can
//! keep another one from being called with tickets that they never use; a call counts against both. A call on which nothing moves keeps nobody from
//! a ticket, and ends when its room is taken: no ticket alone ends it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dos_protocol::{
    PeerId,
    limits::{RELAY_CALLS_PER_PAIR, RELAY_SPARE_AFTER, RELAY_TICKETS_MAX},
};

/// A call that has a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Who asked for it.
    pub(crate) from: PeerId,
    /// Who is called.
    pub(crate) to: PeerId,
    /// Whether both sides have come.
    pub(crate) is_joined: bool,
    /// For how long nothing has moved.
    pub(crate) still: Duration,
}

impl Counted {
    /// Whether it is missed by nobody when it ends.
    fn is_spare(&self) -> bool {
        self.is_joined && self.still >= RELAY_SPARE_AFTER
    }
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Calls in all.
    pub(crate) calls: u32,
    /// Calls that one peer makes or takes.
    pub(crate) calls_per_peer: u32,
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Calls in all.
    Relay,
    /// Tickets in all.
    Tickets,
    /// Those of the caller.
    Caller,
    /// Those between the two.
    Pair,
    /// Calls of the one that is called.
    Called,
}

/// Whether `from` may have another ticket for a call to `to`, beside those that there are.
pub(crate) fn admit(
    calls: impl IntoIterator<Item = Counted>,
    (from, to): (PeerId, PeerId),
    allowed: Allowed,
) -> Result<(), Full> {
    let calls = calls.into_iter().filter(|call| !call.is_spare());
    check(Counts::of(calls, (from, to)), allowed, true)
}

/// Whether the two sides that have come for this ticket may be joined, beside the other calls.
pub(crate) fn join(
    others: impl IntoIterator<Item = Counted>,
    (from, to): (PeerId, PeerId),
    allowed: Allowed,
) -> Result<(), Full> {
    check(Counts::of(others, (from, to)), allowed, false)
}

/// What there is already.
#[derive(Debug, Default)]
struct Counts {
    joined: u64,
    joined_of_caller: u64,
    joined_of_called: u64,
    joined_of_both: u64,
    tickets: u64,
    tickets_of_caller: u64,
    tickets_of_caller_for_called: u64,
}

impl Counts {
    fn of(calls: impl IntoIterator<Item = Counted>, (from, to): (PeerId, PeerId)) -> Self {
        let mut counts = Self::default();
        for call in calls {
            let concerns = |peer| u64::from(call.from == peer || call.to == peer);
            if call.is_joined {
                counts.joined += 1;
                counts.joined_of_caller += concerns(from);
                counts.joined_of_called += concerns(to);
                counts.joined_of_both += concerns(from) * concerns(to);
            } else {
                counts.tickets += 1;
                counts.tickets_of_caller += u64::from(call.from == from);
                counts.tickets_of_caller_for_called += u64::from(call.from == from && call.to == to);
            }
        }
        counts
    }
}

fn check(counts: Counts, allowed: Allowed, with_tickets: bool) -> Result<(), Full> {
    let with = |tickets: u64| if with_tickets { tickets } else { 0 };
    let per_peer = u64::from(allowed.calls_per_peer);
    if counts.joined >= allowed.calls.into() {
        Err(Full::Relay)
    } else if counts.joined_of_caller + with(counts.tickets_of_caller) >= per_peer {
        Err(Full::Caller)
    } else if counts.joined_of_both + with(counts.tickets_of_caller_for_called) >= RELAY_CALLS_PER_PAIR {
        Err(Full::Pair)
    } else if counts.joined_of_called >= per_peer {
        Err(Full::Called)
    } else if with(counts.tickets) >= RELAY_TICKETS_MAX {
        Err(Full::Tickets)
    } else {
        Ok(())
    }
}

/// Of tickets that are not used, by who asked for them and until when they are good: which one makes room for one of `from`. The
/// oldest of the peer that has the most, if that has clearly more, so that no peers keep the tickets from others.
pub(crate) fn displaced(tickets: &[(PeerId, Instant)], from: PeerId) -> Option<usize> {
    let mut counts = BTreeMap::<PeerId, usize>::new();
    for (peer, _) in tickets {
        *counts.entry(*peer).or_default() += 1;
    }
    let own = counts.get(&from).copied().unwrap_or(0);
    let (heaviest, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let of_heaviest = tickets.iter().enumerate().filter(|(_, (peer, _))| *peer == heaviest);
    let (oldest, _) = of_heaviest.min_by_key(|(_, (_, until))| *until)?;
    (most > own + 1).then_some(oldest)
}

/// Which of these calls makes room for another of `from` to `to`, whose sides have come. The one on which nothing has moved for longest, of those of
/// which there are too many, if that is long enough.
pub(crate) fn spare(calls: &[Counted], (from, to): (PeerId, PeerId), full: Full) -> Option<usize> {
    let is_of = |call: &Counted, peer| call.from == peer || call.to == peer;
    let counts = |call: &Counted| match full {
        Full::Relay => true,
        Full::Tickets => false,
        Full::Caller => is_of(call, from),
        Full::Pair => is_of(call, from) && is_of(call, to),
        Full::Called => is_of(call, to),
    };
    let spare = calls.iter().enumerate().filter(|(_, call)| call.is_spare() && counts(call));
    spare.max_by_key(|(_, call)| call.still).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Allowed = Allowed { calls: 20, calls_per_peer: 10 };

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    fn call(from: u64, to: u64, is_joined: bool) -> Counted {
        Counted { from: peer(from), to: peer(to), is_joined, still: Duration::ZERO }
    }

    fn pair(from: u64, to: u64) -> (PeerId, PeerId) {
        (peer(from), peer(to))
    }

    /// As many calls, each to or from another peer.
    fn many(count: u64, of: impl Fn(u64) -> Counted) -> Vec<Counted> {
        (100..100 + count).map(of).collect()
    }

    #[test]
    fn each_bound_is_reached_by_what_counts_against_it_and_by_nothing_else() {
        for (name, calls, admitted, joined) in [
            ("nothing", vec![], Ok(()), Ok(())),
            ("one less in all", many(19, |n| call(n, n + 50, true)), Ok(()), Ok(())),
            ("all", many(20, |n| call(n, n + 50, true)), Err(Full::Relay), Err(Full::Relay)),
            ("tickets of others", many(200, |n| call(n, n + 500, false)), Ok(()), Ok(())),
            (
                "all tickets",
                many(RELAY_TICKETS_MAX, |n| call(n, n + 5000, false)),
                Err(Full::Tickets),
                Ok(()),
            ),
            ("made", many(10, |n| call(1, n, true)), Err(Full::Caller), Err(Full::Caller)),
            ("taken", many(10, |n| call(n, 1, true)), Err(Full::Caller), Err(Full::Caller)),
            ("tickets of one's own", many(10, |n| call(1, n, false)), Err(Full::Caller), Ok(())),
            ("one less", many(9, |n| call(1, n, false)), Ok(()), Ok(())),
            ("tickets of others for one", many(15, |n| call(n, 1, false)), Ok(()), Ok(())),
            ("the called one takes", many(10, |n| call(n, 2, true)), Err(Full::Called), Err(Full::Called)),
            ("the called one makes", many(10, |n| call(2, n, true)), Err(Full::Called), Err(Full::Called)),
            ("tickets for the called one", many(15, |n| call(n, 2, false)), Ok(()), Ok(())),
            ("tickets of the called one", many(10, |n| call(2, n, false)), Ok(()), Ok(())),
            ("both", many(8, |_| call(1, 2, true)), Err(Full::Pair), Err(Full::Pair)),
            ("both, the other way", many(8, |_| call(2, 1, true)), Err(Full::Pair), Err(Full::Pair)),
            ("one less of both", many(7, |_| call(2, 1, true)), Ok(()), Ok(())),
            ("tickets for the same", many(8, |_| call(1, 2, false)), Err(Full::Pair), Ok(())),
            ("the other's tickets for one", many(8, |_| call(2, 1, false)), Ok(()), Ok(())),
        ] {
            assert_eq!(admit(calls.clone(), pair(1, 2), ALLOWED), admitted, "{name}: admitted");
            assert_eq!(join(calls, pair(1, 2), ALLOWED), joined, "{name}: joined");
        }
    }

    #[test]
    fn the_oldest_ticket_of_the_peer_with_the_most_makes_room() {
        let start = Instant::now();
        let ticket = |of: u64, second: u64| (peer(of), start + Duration::from_secs(second));
        let tickets = [ticket(1, 5), ticket(2, 0), ticket(1, 3), ticket(1, 4), ticket(3, 1)];
        assert_eq!(displaced(&tickets, peer(4)), Some(2));
        assert_eq!(displaced(&tickets, peer(2)), Some(2));
        assert_eq!(displaced(&tickets, peer(1)), None);
        assert_eq!(displaced(&tickets[..3], peer(4)), Some(2));
        assert_eq!(displaced(&tickets[..3], peer(2)), None, "that would only move them from one to another");
        assert_eq!(displaced(&[], peer(1)), None);
    }

    #[test]
    fn tickets_and_calls_of_the_caller_count_together() {
        let calls = [many(5, |n| call(1, n, true)), many(5, |n| call(1, n + 20, false))].concat();
        assert_eq!(admit(calls.clone(), pair(1, 2), ALLOWED), Err(Full::Caller));
        assert_eq!(join(calls, pair(1, 2), ALLOWED), Ok(()));
        let calls = [many(4, |_| call(2, 1, true)), many(4, |_| call(1, 2, false))].concat();
        assert_eq!(admit(calls, pair(1, 2), ALLOWED), Err(Full::Pair));
    }

    #[test]
    fn the_call_on_which_nothing_moves_for_longest_makes_room_where_it_counts() {
        let still = |call: Counted, seconds| Counted { still: Duration::from_secs(seconds), ..call };
        let calls = [
            still(call(1, 2, true), 6),
            still(call(2, 3, true), 7),
            still(call(4, 1, true), 8),
            still(call(5, 6, true), 9),
            still(call(1, 7, false), 60),
        ];
        let of = |full| spare(&calls, pair(1, 2), full);
        assert_eq!(of(Full::Relay), Some(3));
        assert_eq!(of(Full::Caller), Some(2), "made or taken");
        assert_eq!(of(Full::Called), Some(1));
        assert_eq!(of(Full::Pair), Some(0));
        assert_eq!(of(Full::Tickets), None);
        let all = |still| calls.map(|call| Counted { still, ..call });
        let moving = all(RELAY_SPARE_AFTER - Duration::from_millis(1));
        assert_eq!(spare(&moving, pair(1, 2), Full::Relay), None, "they are in use");
        assert_eq!(spare(&all(RELAY_SPARE_AFTER), pair(1, 2), Full::Pair), Some(0));
    }

    #[test]
    fn calls_on_which_nothing_moves_keep_nobody_from_a_ticket_and_tickets_are_bounded_all_the_same() {
        let idle = |call| Counted { still: RELAY_SPARE_AFTER, ..call };
        let calls = many(20, |n| idle(call(n, 2, true)));
        assert_eq!(admit(calls.clone(), pair(1, 2), ALLOWED), Ok(()));
        assert_eq!(join(calls.clone(), pair(1, 2), ALLOWED), Err(Full::Relay), "one has to end first");
        let tickets = many(10, |n| idle(call(1, n, false)));
        assert_eq!(admit([calls, tickets].concat(), pair(1, 2), ALLOWED), Err(Full::Caller));
    }
}
