//! When the two sides of a rendezvous begin.

use std::time::Duration;

use dos_protocol::limits::RENDEZVOUS_BEGIN_MAX;

/// How long a side begins after it has been told, if it takes `own` to the directory and back and the other side takes `other`: both are told
/// at one moment, and the one that is told first waits for the other.
pub(crate) fn begins_after(own: Duration, other: Duration) -> Duration {
    (other.saturating_sub(own) / 2).min(RENDEZVOUS_BEGIN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_begin_at_one_moment_and_nobody_waits_for_long() {
        let ms = Duration::from_millis;
        for (one, other) in [(20, 100), (100, 20), (30, 30), (0, 900)] {
            let begins = |own: u64, other| ms(own) / 2 + begins_after(ms(own), ms(other));
            assert_eq!(begins(one, other), begins(other, one), "{one} {other}");
        }
        assert_eq!(begins_after(ms(20), ms(100)), ms(40));
        assert_eq!(begins_after(ms(100), ms(20)), ms(0));
        assert_eq!(begins_after(ms(0), ms(60_000)), RENDEZVOUS_BEGIN_MAX);
    }
}
