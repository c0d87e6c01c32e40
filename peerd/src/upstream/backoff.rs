//! How long to wait before trying again: growing, bounded, and spread, so that a thousand daemons that lost the same
//! directory do not come back in one moment ("equal jitter": half of the delay is fixed, half is drawn).

use std::time::Duration;

use dos_protocol::limits::{KICKED_DELAY, RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN};

/// The delay after a number of failures in a row, spread by a random number.
pub(crate) fn delay(failures: u32, random: u32) -> Duration {
    let doubled = RECONNECT_DELAY_MIN.saturating_mul(1u32.checked_shl(failures.min(20)).unwrap_or(u32::MAX));
    let half = doubled.min(RECONNECT_DELAY_MAX) / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// The delay after an operator has ended the session: a minute, and up to a tenth more.
pub(crate) fn kicked_delay(random: u32) -> Duration {
    KICKED_DELAY + (KICKED_DELAY / 10).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_the_least_to_the_most_and_never_overflow() {
        assert_eq!(delay(0, u32::MAX), RECONNECT_DELAY_MIN);
        assert_eq!(delay(0, 0), RECONNECT_DELAY_MIN / 2);
        assert_eq!(delay(3, u32::MAX), RECONNECT_DELAY_MIN * 8);
        for failures in [9, 31, 32, 33, u32::MAX] {
            assert_eq!(delay(failures, u32::MAX), RECONNECT_DELAY_MAX, "{failures}");
        }
    }

    #[test]
    fn a_kicked_peer_stays_away_for_a_minute() {
        assert_eq!(kicked_delay(0), KICKED_DELAY);
        assert!(kicked_delay(u32::MAX) < KICKED_DELAY * 2);
    }
}
