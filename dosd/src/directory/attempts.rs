//! How often one address may attempt to register, one peer may broadcast: a bucket of tokens for each, in memory, in a
//! bounded table.
//!
//! The bucket is kept as the one moment at which it would be full again (the generic cell rate algorithm, ITU-T I.371,
//! annex A): an entry whose moment has passed says nothing and is dropped.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use dos_protocol::limits::ATTEMPTS_REMEMBERED_MAX;

/// The attempts of the last minute, by who made them.
#[derive(Debug)]
pub(super) struct Attempts<K> {
    /// Those for which the table has no room share the entry `None`.
    full_at: Mutex<HashMap<Option<K>, Instant>>,
}

impl<K> Default for Attempts<K> {
    fn default() -> Self {
        Self { full_at: Mutex::default() }
    }
}

impl<K: Copy + Eq + Hash> Attempts<K> {
    /// Counts an attempt of `who`, of which `per_minute` (at least one) are allowed at once, and as many in every minute
    /// after that.
    ///
    /// # Errors
    /// How long to wait, if it was one too many; it is then not counted.
    pub(super) fn count(&self, who: K, per_minute: u32, now: Instant) -> Result<(), Duration> {
        let per_minute = per_minute.max(1);
        let each = Duration::from_secs(60) / per_minute;
        let depth = each * (per_minute - 1);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Some(who);
        if full_at.len() >= ATTEMPTS_REMEMBERED_MAX && !full_at.contains_key(&key) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= ATTEMPTS_REMEMBERED_MAX {
                key = None;
            }
        }
        let moment = full_at.get(&key).map_or(now, |moment| (*moment).max(now));
        let ahead = moment.duration_since(now);
        if ahead > depth {
            return Err(ahead - depth);
        }
        full_at.insert(key, moment + each);
        Ok(())
    }
}

/// What stands for one host: an IPv4 address, or the /64 that every IPv6 network gives to a host (RFC 4291, 2.5.4).
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        network_of(text.parse().unwrap())
    }

    #[test]
    fn sixty_at_once_then_one_a_second() {
        let attempts = Attempts::default();
        let (start, home) = (Instant::now(), ip("127.0.0.1"));
        assert!((0..60).all(|_| attempts.count(home, 60, start).is_ok()));
        assert_eq!(attempts.count(home, 60, start), Err(Duration::from_secs(1)));
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(attempts.count(home, 60, at(400)), Err(Duration::from_millis(600)));
        assert_eq!(attempts.count(home, 60, at(1000)), Ok(()));
        assert!(attempts.count(home, 60, at(1000)).is_err());
        assert!((0..60).all(|_| attempts.count(home, 60, at(120_000)).is_ok()), "it fills up again");
    }

    #[test]
    fn addresses_do_not_disturb_each_other_but_a_network_of_ipv6_is_one() {
        let attempts = Attempts::default();
        let now = Instant::now();
        assert!(attempts.count(ip("192.0.2.1"), 1, now).is_ok());
        assert!(attempts.count(ip("192.0.2.2"), 1, now).is_ok());
        assert!(attempts.count(ip("::ffff:192.0.2.2"), 1, now).is_err());
        assert!(attempts.count(ip("2001:db8::1"), 1, now).is_ok());
        assert!(attempts.count(ip("2001:db8::ffff:1"), 1, now).is_err());
        assert!(attempts.count(ip("2001:db8:0:1::1"), 1, now).is_ok());
    }

    #[test]
    fn the_table_stays_bounded_and_forgets() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let v4 = |number: usize| IpAddr::V4(u32::try_from(number).unwrap().into());
        assert!((0..ATTEMPTS_REMEMBERED_MAX).all(|n| attempts.count(v4(n), 60, now).is_ok()));
        let beyond = |n| attempts.count(v4(ATTEMPTS_REMEMBERED_MAX + n), 60, now);
        assert!((0..60).all(|n| beyond(n).is_ok()));
        assert!(beyond(60).is_err(), "those beyond share one allowance");
        assert!(attempts.full_at.lock().unwrap().len() <= ATTEMPTS_REMEMBERED_MAX + 1);
        assert!(attempts.count(v4(usize::MAX >> 33), 60, now + Duration::from_secs(90)).is_ok());
        assert_eq!(attempts.full_at.lock().unwrap().len(), 1);
    }
}
