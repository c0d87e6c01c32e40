//! How long the notes for `status` stay.

use std::time::Duration;

use dos_protocol::Timestamp;

/// Notes that are kept: what is restored again and again says the same.
pub(crate) const KEPT_MAX: u32 = 8;

/// How long a note stays: long enough for a person who looks once a week.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Notes from before this moment are not shown any more.
pub(crate) fn expires(now: Timestamp) -> Timestamp {
    now.before(KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stays_for_two_weeks() {
        assert_eq!(expires(Timestamp(1_209_600_005)), Timestamp(5));
    }
}
