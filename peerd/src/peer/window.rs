//! How far the owner may send: what is under way and not yet kept is what a break costs.
//!
//! The viewer tells the owner the offset up to which it takes bytes, and raises it as bytes come to rest in its file. So
//! wherever the bytes under way are (in sockets, a relay, our buffers), a break at any moment, also by `kill -9`, loses at
//! most one window. The window is the largest of
//!
//! - a floor, 1/[`FLOOR_SHARE`] of the copy, and a share of what the connection has brought, 1/[`GROWN_SHARE`]: twenty
//!   breaks of a transfer of 100 MiB thus cost at most 1/80 + 1/32 of it, below 5 %, wherever they come;
//! - on a path of a noticeable round trip, twice what came in the last one: there, that much must be under way for the
//!   path to be full. (The delivery rate and the shortest round trip are those of BBR: Cardwell et al., "BBR:
//!   Congestion-Based Congestion Control", ACM Queue 14(5), 2016.)
//!
//! Pure arithmetic: no clock but what it is told, no socket.

use std::{
    ops::{Range, RangeInclusive},
    time::{Duration, Instant},
};

/// The floor as a part of the copy.
const FLOOR_SHARE: u64 = 1600;

/// The smallest and the largest floor. Below, a small copy would crawl; above, nothing gets faster.
const FLOOR_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 20;

/// The window as a part of what this connection has brought.
const GROWN_SHARE: u64 = 32;

/// The largest window: a gigabit over half a second.
const WINDOW_BYTES_MAX: u64 = 64 << 20;

/// A shorter round trip needs no window of its own: the floor fills the path.
const ROUND_TRIP_NOTICED: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    /// Where this connection began.
    start: u64,
    /// The size of the copy.
    total: u64,
    /// Up to where the owner may send.
    granted: u64,
    /// What the path holds, by the last sample.
    flight: u64,
    round_trip_min: Option<Duration>,
    sample: Option<Sample>,
}

/// A raised limit on its way: from when it was said until the last byte that it allowed has come.
#[derive(Debug)]
struct Sample {
    at: Instant,
    /// What had arrived then.
    arrived: u64,
    /// The bytes that it allowed.
    allowed: Range<u64>,
    /// The first of them has come.
    answered: bool,
}

impl Window {
    /// For a transfer that goes on at `start` of `total` bytes.
    pub(super) fn new(start: u64, total: u64) -> Self {
        let mut window = Self { start, total, granted: start, flight: 0, round_trip_min: None, sample: None };
        window.granted = total.min(start.saturating_add(window.size(start)));
        window
    }

    /// Where this connection begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Up to where the owner may send.
    pub(super) fn granted(&self) -> u64 {
        self.granted
    }

    fn size(&self, kept: u64) -> u64 {
        let floor = (self.total / FLOOR_SHARE).clamp(*FLOOR_BYTES.start(), *FLOOR_BYTES.end());
        let grown = kept.saturating_sub(self.start) / GROWN_SHARE;
        let long = self.round_trip_min.is_some_and(|shortest| shortest >= ROUND_TRIP_NOTICED);
        let path = if long { self.flight.saturating_mul(2) } else { 0 };
        floor.max(grown).max(path).min(WINDOW_BYTES_MAX)
    }

    /// Everything up to `position` has arrived.
    pub(super) fn arrived(&mut self, position: u64, now: Instant) {
        let Some(sample) = &mut self.sample else { return };
        if position <= sample.allowed.start {
            return;
        }
        let elapsed = now.saturating_duration_since(sample.at).max(Duration::from_nanos(1));
        if !sample.answered {
            sample.answered = true;
            self.round_trip_min = Some(self.round_trip_min.map_or(elapsed, |shortest| shortest.min(elapsed)));
        }
        if position >= sample.allowed.end {
            let delivered = u128::from(position.saturating_sub(sample.arrived));
            let shortest = self.round_trip_min.unwrap_or(elapsed);
            let flight = delivered.saturating_mul(shortest.as_nanos()) / elapsed.as_nanos();
            self.flight = u64::try_from(flight).unwrap_or(u64::MAX);
            self.sample = None;
        }
    }

    /// Everything up to `kept` rests in the file, `arrived` has arrived: up to where the owner may send now, if that is
    /// worth a message.
    pub(super) fn raise(&mut self, kept: u64, arrived: u64, now: Instant) -> Option<u64> {
        let size = self.size(kept);
        let limit = self.total.min(kept.saturating_add(size));
        let worth =
            if limit == self.total { self.granted + 1 } else { self.granted.saturating_add(size / 2) };
        if limit < worth {
            return None;
        }
        let allowed = self.granted..limit;
        self.sample.get_or_insert(Sample { at: now, arrived, allowed, answered: false });
        self.granted = limit;
        Some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Runs a transfer over a path of this rate and round trip; gives its time and the most that was under way.
    fn run(total: u64, bytes_per_ms: u64, round_trip: Duration) -> (Duration, u64) {
        let begun = Instant::now();
        let mut window = Window::new(0, total);
        let (mut now, mut position, mut most) = (Duration::ZERO, 0, window.granted());
        // Limits on their way to the owner, and from there as the first byte back.
        let mut raised = vec![(Duration::ZERO, window.granted())];
        while position < total {
            let open = raised.iter().filter(|(at, _)| *at <= now).map(|(_, limit)| *limit).max().unwrap_or(0);
            position = open.min(position + bytes_per_ms);
            now += Duration::from_millis(1);
            window.arrived(position, begun + now);
            if let Some(limit) = window.raise(position, position, begun + now) {
                raised.push((now + round_trip, limit));
                most = most.max(limit - position);
            }
        }
        (now, most)
    }

    #[test]
    fn twenty_breaks_of_100_mib_cost_less_than_a_twentieth() {
        let total = 100 * MIB;
        let mut sent = 0;
        let mut kept = 0;
        for cut in 1..=21 {
            let mut window = Window::new(kept, total);
            let end = total * cut / 21;
            while kept < end {
                kept = end.min(kept + 7 * 1024);
                window.arrived(kept, Instant::now());
                window.raise(kept, kept, Instant::now());
            }
            // The worst: everything that was allowed had been sent.
            sent += window.granted() - (total * (cut - 1) / 21);
        }
        assert!(sent * 1000 < total * 1045, "{sent} of {total}");
    }

    #[test]
    fn a_short_path_has_little_under_way() {
        let (_, most) = run(100 * MIB, MIB, Duration::ZERO);
        assert!(most <= 100 * MIB / 32, "{most}");
    }

    #[test]
    fn a_long_path_is_filled() {
        // 100 Mbit/s, 100 ms: 1.25 MB under way fill it.
        let (time, most) = run(50 * MIB, 12_500, Duration::from_millis(100));
        let ideal = Duration::from_millis(50 * MIB / 12_500);
        assert!(time < ideal.mul_f64(1.4), "{time:?} instead of {ideal:?}");
        assert!(most < 6 * MIB, "{most}");
    }

    #[test]
    fn the_end_of_the_copy_is_granted_and_nothing_behind_it() {
        let mut window = Window::new(10, 1000);
        assert_eq!(window.granted(), 1000);
        assert_eq!(window.raise(500, 500, Instant::now()), None);
        let mut window = Window::new(0, MIB);
        while window.granted() < MIB {
            let granted = window.granted();
            assert!(window.raise(granted, granted, Instant::now()).is_some_and(|limit| limit > granted));
        }
        assert_eq!(window.granted(), MIB);
    }
}
