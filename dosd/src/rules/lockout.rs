//! Lock-outs of password logins, by name.
//!
//! An attempt counts as a wrong one before its password is looked at, and is forgiven when it was right: attempts made at once
//! are therefore not more than as many in a row, at however many nodes of the directory. A name that no peer has is counted like any other,
//! so that nothing tells which names there are.

use std::time::Duration;

use dos_protocol::{
    Timestamp,
    limits::{BLOCK_DURATION_MAX, PASSWORD_MEMORY, PASSWORD_TRIES},
};

/// What is remembered of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Attempts since the last lock-out.
    pub(crate) tries: u32,
    /// Lock-outs so far.
    pub(crate) lockouts: u32,
    /// Until when no attempt is taken.
    pub(crate) locked_until: Timestamp,
    /// When the last one was.
    pub(crate) last: Timestamp,
}

/// Of a name that was not locked: no moment is before it. Attempts made at once are not counted in the order of their moments, so that
/// the moment of the first one would lock the next.
const NEVER: Timestamp = Timestamp(0);

/// A name after another attempt; the last free attempt locks it, at first for `block`.
///
/// # Errors
/// How long the name is still locked; the attempt is then not counted.
pub(crate) fn attempt(before: Option<Tried>, block: Duration, now: Timestamp) -> Result<Tried, Duration> {
    if let Some(left) = before.and_then(|tried| locked(tried, now)) {
        return Err(left);
    }
    let remembered = before.filter(|tried| !is_forgotten(*tried, now));
    let mut tried = remembered.unwrap_or(Tried { tries: 0, lockouts: 0, locked_until: NEVER, last: now });
    tried.last = now;
    tried.tries = tried.tries.saturating_add(1);
    if tried.tries >= PASSWORD_TRIES {
        let factor = 2u32.saturating_pow(tried.lockouts);
        tried.locked_until = now.after(block.saturating_mul(factor).min(BLOCK_DURATION_MAX));
        tried.lockouts = tried.lockouts.saturating_add(1);
        tried.tries = 0;
    }
    Ok(tried)
}

/// For how long the name is still locked.
pub(crate) fn locked(tried: Tried, now: Timestamp) -> Option<Duration> {
    // A clock that was put back makes no lock-out longer than the longest.
    let left = tried.locked_until.since(now).min(BLOCK_DURATION_MAX);
    (!left.is_zero()).then_some(left)
}

/// Whether what is remembered of a name says nothing any more.
fn is_forgotten(tried: Tried, now: Timestamp) -> bool {
    now.since(tried.last) >= PASSWORD_MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_secs(60);
    const START: Timestamp = Timestamp(1_000_000_000_000);

    /// Tries as long as it may, and tells how often that was and how long it then has to wait.
    fn exhaust(tried: &mut Option<Tried>, now: Timestamp) -> (u32, Duration) {
        for tries in 0.. {
            match attempt(*tried, BLOCK, now) {
                Ok(after) => *tried = Some(after),
                Err(wait) => return (tries, wait),
            }
        }
        unreachable!()
    }

    #[test]
    fn an_attempt_is_remembered_for_a_day_and_the_third_locks() {
        let first = Tried { tries: 1, lockouts: 0, locked_until: NEVER, last: START };
        assert_eq!(attempt(None, BLOCK, START), Ok(first));
        let day = START.after(PASSWORD_MEMORY);
        let before = day.before(Duration::from_millis(1));
        assert_eq!(attempt(Some(first), BLOCK, before), Ok(Tried { tries: 2, last: before, ..first }));
        assert_eq!(attempt(Some(first), BLOCK, day), Ok(Tried { last: day, ..first }));
        let earlier = START.before(Duration::from_millis(5));
        assert_eq!(attempt(Some(first), BLOCK, earlier), Ok(Tried { tries: 2, last: earlier, ..first }));
        let second = Tried { tries: 2, ..first };
        let third = Tried { tries: 0, lockouts: 1, locked_until: START.after(BLOCK), last: START };
        assert_eq!(attempt(Some(second), BLOCK, START), Ok(third));
        assert_eq!(attempt(Some(third), BLOCK, START), Err(BLOCK));
        assert_eq!(locked(third, START.after(BLOCK)), None);
        let often = Tried { tries: 2, lockouts: u32::MAX, ..first };
        let longest = Tried {
            tries: 0,
            lockouts: u32::MAX,
            locked_until: START.after(BLOCK_DURATION_MAX),
            last: START,
        };
        assert_eq!(attempt(Some(often), BLOCK, START), Ok(longest));
        let put_back = START.before(PASSWORD_MEMORY);
        assert_eq!(locked(longest, put_back), Some(BLOCK_DURATION_MAX), "by a clock that was put back");
    }

    #[test]
    fn three_tries_then_a_lock_that_doubles_up_to_an_hour() {
        let (mut alice, mut now) = (None, START);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = Duration::from_secs(minutes * 60);
            assert_eq!(exhaust(&mut alice, now), (3, wait), "{minutes}");
            now = now.after(wait - Duration::from_secs(1));
            assert_eq!(attempt(alice, BLOCK, now), Err(Duration::from_secs(1)));
            now = now.after(Duration::from_secs(1));
            assert_eq!(locked(alice.unwrap(), now), None);
        }
        assert_eq!(exhaust(&mut alice, now.after(PASSWORD_MEMORY)), (3, BLOCK), "time heals");
    }
}
