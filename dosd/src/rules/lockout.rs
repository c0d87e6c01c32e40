//! Lock-outs of password logins, by name, in a bounded table.
//!
//! An attempt counts as a wrong one before its password is looked at, and is forgiven when it was right: attempts made at once
//! are therefore not more than as many in a row. A name that no peer has is counted like any other, so that nothing tells which
//! names there are. A restart forgets everything; it takes longer than what it would save a guesser.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use dos_protocol::{
    PeerName,
    limits::{BLOCK_DURATION_MAX, PASSWORD_MEMORY, PASSWORD_NAMES_MAX, PASSWORD_TRIES},
};

/// What is remembered of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tried {
    /// Attempts since the last lock-out.
    tries: u32,
    /// Lock-outs so far.
    lockouts: u32,
    locked_until: Instant,
    last: Instant,
}

/// A name after another attempt; the last free attempt locks it, at first for `block`.
///
/// # Errors
/// How long the name is still locked; the attempt is then not counted.
fn attempt(before: Option<Tried>, block: Duration, now: Instant) -> Result<Tried, Duration> {
    if let Some(left) = before.and_then(|tried| locked(tried, now)) {
        return Err(left);
    }
    let remembered = before.filter(|tried| !is_forgotten(*tried, now));
    let mut tried = remembered.unwrap_or(Tried { tries: 0, lockouts: 0, locked_until: now, last: now });
    tried.last = now;
    tried.tries += 1;
    if tried.tries >= PASSWORD_TRIES {
        let factor = 2u32.saturating_pow(tried.lockouts);
        tried.locked_until = now + block.saturating_mul(factor).min(BLOCK_DURATION_MAX);
        tried.lockouts = tried.lockouts.saturating_add(1);
        tried.tries = 0;
    }
    Ok(tried)
}

fn locked(tried: Tried, now: Instant) -> Option<Duration> {
    let left = tried.locked_until.saturating_duration_since(now);
    (!left.is_zero()).then_some(left)
}

fn is_forgotten(tried: Tried, now: Instant) -> bool {
    now.saturating_duration_since(tried.last) >= PASSWORD_MEMORY
}

/// The names for which passwords were tried.
#[derive(Debug, Default)]
pub(crate) struct Lockouts {
    names: HashMap<PeerName, Tried>,
}

impl Lockouts {
    /// How long the name is still locked.
    pub(crate) fn locked(&self, name: &PeerName, now: Instant) -> Option<Duration> {
        locked(*self.names.get(name)?, now)
    }

    /// Counts an attempt as a wrong one; the last one that is free locks the name, at first for `block`.
    ///
    /// # Errors
    /// How long the name is still locked; the attempt is then not counted.
    pub(crate) fn attempt(&mut self, name: &PeerName, block: Duration, now: Instant) -> Result<(), Duration> {
        let tried = attempt(self.names.get(name).copied(), block, now)?;
        self.make_room(name, now);
        self.names.insert(name.clone(), tried);
        Ok(())
    }

    /// The password was right: everything about the name is forgiven.
    pub(crate) fn forgive(&mut self, name: &PeerName) {
        self.names.remove(name);
    }

    /// Drops what says nothing any more, and if that is not enough the name that was tried longest ago.
    fn make_room(&mut self, name: &PeerName, now: Instant) {
        if self.names.len() < PASSWORD_NAMES_MAX || self.names.contains_key(name) {
            return;
        }
        self.names.retain(|_, tried| !is_forgotten(*tried, now));
        if self.names.len() >= PASSWORD_NAMES_MAX {
            let oldest = self.names.iter().min_by_key(|(_, tried)| tried.last).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.names.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Duration = Duration::from_secs(60);

    fn name(text: &str) -> PeerName {
        text.parse().unwrap()
    }

    /// Tries as long as it may, and tells how often that was and how long it then has to wait.
    fn exhaust(lockouts: &mut Lockouts, name: &PeerName, now: Instant) -> (u32, Duration) {
        for tries in 0.. {
            if let Err(wait) = lockouts.attempt(name, BLOCK, now) {
                return (tries, wait);
            }
        }
        unreachable!()
    }

    #[test]
    fn an_attempt_is_remembered_for_a_day_and_the_third_locks() {
        let start = Instant::now();
        let first = Tried { tries: 1, lockouts: 0, locked_until: start, last: start };
        assert_eq!(attempt(None, BLOCK, start), Ok(first));
        let day = start + PASSWORD_MEMORY;
        let before = day - Duration::from_nanos(1);
        assert_eq!(attempt(Some(first), BLOCK, before), Ok(Tried { tries: 2, last: before, ..first }));
        assert_eq!(attempt(Some(first), BLOCK, day), Ok(Tried { locked_until: day, last: day, ..first }));
        let second = Tried { tries: 2, ..first };
        let third = Tried { tries: 0, lockouts: 1, locked_until: start + BLOCK, last: start };
        assert_eq!(attempt(Some(second), BLOCK, start), Ok(third));
        assert_eq!(attempt(Some(third), BLOCK, start), Err(BLOCK));
        assert_eq!(locked(third, start + BLOCK), None);
        let often = Tried { tries: 2, lockouts: u32::MAX, ..first };
        let longest =
            Tried { tries: 0, lockouts: u32::MAX, locked_until: start + BLOCK_DURATION_MAX, last: start };
        assert_eq!(attempt(Some(often), BLOCK, start), Ok(longest));
    }

    #[test]
    fn three_tries_then_a_lock_that_doubles_up_to_an_hour() {
        let (mut lockouts, alice) = (Lockouts::default(), name("alice"));
        let mut now = Instant::now();
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = Duration::from_secs(minutes * 60);
            assert_eq!(exhaust(&mut lockouts, &alice, now), (3, wait), "{minutes}");
            now += wait - Duration::from_secs(1);
            assert_eq!(lockouts.attempt(&alice, BLOCK, now), Err(Duration::from_secs(1)));
            assert_eq!(lockouts.locked(&alice, now), Some(Duration::from_secs(1)));
            now += Duration::from_secs(1);
            assert_eq!(lockouts.locked(&alice, now), None);
        }
    }

    #[test]
    fn the_right_password_forgives_everything() {
        let (mut lockouts, alice, now) = (Lockouts::default(), name("alice"), Instant::now());
        for _ in 0..10 {
            for _ in 0..PASSWORD_TRIES {
                assert_eq!(lockouts.attempt(&alice, BLOCK, now), Ok(()));
            }
            lockouts.forgive(&alice);
        }
        assert_eq!(exhaust(&mut lockouts, &alice, now), (3, BLOCK));
    }

    #[test]
    fn names_do_not_disturb_each_other_and_time_heals() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        exhaust(&mut lockouts, &name("alice"), now);
        exhaust(&mut lockouts, &name("alice"), now + BLOCK);
        assert_eq!(exhaust(&mut lockouts, &name("bob"), now + BLOCK), (3, BLOCK));
        let later = now + BLOCK + PASSWORD_MEMORY;
        assert_eq!(exhaust(&mut lockouts, &name("alice"), later), (3, BLOCK));
    }

    #[test]
    fn the_table_stays_bounded_and_the_oldest_name_makes_room() {
        let (mut lockouts, start) = (Lockouts::default(), Instant::now());
        exhaust(&mut lockouts, &name("first"), start);
        let second = start + Duration::from_millis(1);
        exhaust(&mut lockouts, &name("second"), second);
        let now = start + Duration::from_secs(1);
        for number in 0..PASSWORD_NAMES_MAX - 1 {
            lockouts.attempt(&name(&format!("n{number}")), BLOCK, now).unwrap();
        }
        assert_eq!(lockouts.names.len(), PASSWORD_NAMES_MAX);
        assert_eq!(lockouts.locked(&name("first"), now), None);
        assert!(lockouts.locked(&name("second"), now).is_some());
        lockouts.attempt(&name("much-later"), BLOCK, now + PASSWORD_MEMORY).unwrap();
        assert_eq!(lockouts.names.len(), 1);
    }
}
