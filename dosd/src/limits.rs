//! How much one peer, one address, and all together may take: the settings, and what counts by them.
//!
//! What is refused by a limit is refused before anything is done, with the limit's name and, where waiting helps, the time
//! after which to ask again. What a peer must always be able to do (take back a right, spend a view, sign out) has no limit
//! but that of its requests.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_daemon::rate::Rate;
use dos_protocol::{Code, Reason, WireError, limits};

use crate::{
    config::{ConfigError, FileConfig},
    store::Quotas,
};

/// The limits in force. Each key of the configuration has the name of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions in all.
    pub sessions_max: u32,
    /// Sessions from one address (IPv6: one /64).
    pub sessions_per_address: u32,
    /// TLS handshakes from one address in a minute, and at once.
    pub handshakes_per_minute: u32,
    /// Requests of one peer in a second; ten times as many at once.
    pub requests_per_second: u32,
    /// Messages of one peer in a minute, and at once.
    pub messages_per_minute: u32,
    /// Images that one peer may publish.
    pub images_per_peer: u32,
    /// Bytes of all previews of one peer.
    pub preview_bytes_per_peer: u64,
    /// Messages and requests of one peer that wait for another one.
    pub inbox_rows_per_sender: u32,
    /// Updates that wait for one peer, before it gets no more messages, requests and rights.
    pub inbox_rows_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: limits::SESSIONS_MAX,
            sessions_per_address: limits::SESSIONS_PER_ADDRESS,
            handshakes_per_minute: limits::HANDSHAKES_PER_MINUTE,
            requests_per_second: limits::REQUESTS_PER_SECOND,
            messages_per_minute: limits::MESSAGES_PER_MINUTE,
            images_per_peer: limits::IMAGES_PER_PEER_MAX,
            preview_bytes_per_peer: limits::PREVIEW_BYTES_PER_PEER,
            inbox_rows_per_sender: limits::INBOX_ROWS_PER_SENDER,
            inbox_rows_max: limits::INBOX_ROWS_MAX,
        }
    }
}

impl Limits {
    /// What is said, and the defaults for the rest.
    ///
    /// # Errors
    /// [`ConfigError::Nothing`].
    pub(crate) fn new(said: &FileConfig) -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            sessions_max: positive("sessions_max", said.sessions_max, default.sessions_max)?,
            sessions_per_address: positive(
                "sessions_per_address",
                said.sessions_per_address,
                default.sessions_per_address,
            )?,
            handshakes_per_minute: positive(
                "handshakes_per_minute",
                said.handshakes_per_minute,
                default.handshakes_per_minute,
            )?,
            requests_per_second: positive(
                "requests_per_second",
                said.requests_per_second,
                default.requests_per_second,
            )?,
            messages_per_minute: positive(
                "messages_per_minute",
                said.messages_per_minute,
                default.messages_per_minute,
            )?,
            images_per_peer: positive("images_per_peer", said.images_per_peer, default.images_per_peer)?,
            preview_bytes_per_peer: positive(
                "preview_bytes_per_peer",
                said.preview_bytes_per_peer,
                default.preview_bytes_per_peer,
            )?,
            inbox_rows_per_sender: positive(
                "inbox_rows_per_sender",
                said.inbox_rows_per_sender,
                default.inbox_rows_per_sender,
            )?,
            inbox_rows_max: positive("inbox_rows_max", said.inbox_rows_max, default.inbox_rows_max)?,
        })
    }

    /// The requests of one session.
    #[must_use]
    pub(crate) fn requests(&self) -> Rate {
        Rate::per_second(self.requests_per_second.into()).with_burst(REQUEST_BURST)
    }

    /// Those that the store obeys.
    #[must_use]
    pub(crate) fn quotas(&self) -> Quotas {
        Quotas {
            images: self.images_per_peer.into(),
            preview_bytes: self.preview_bytes_per_peer,
            inbox_rows: self.inbox_rows_max.into(),
            inbox_rows_per_sender: self.inbox_rows_per_sender.into(),
        }
    }
}

fn positive<T: PartialEq + Default>(name: &str, said: Option<T>, default: T) -> Result<T, ConfigError> {
    match said {
        Some(said) if said == T::default() => Err(ConfigError::Nothing(name.replace('_', "-"))),
        said => Ok(said.unwrap_or(default)),
    }
}

/// A request that comes too early, or where there is no room.
pub(crate) fn reached(limit: &str, what: &str) -> WireError {
    WireError::new(Code::Denied, format!("{what} (limit {limit})")).because(Reason::Limit)
}

/// What the rate gives in this time may come at once: what a script does in one go.
const REQUEST_BURST: Duration = Duration::from_secs(10);

/// How many sessions each address has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// A session's place among those of its address, until it is dropped.
#[derive(Debug)]
pub struct Place {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    /// Takes a place, if fewer than `most` are taken.
    pub(crate) fn enter(&self, address: IpAddr, most: u32) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= most {
            // A count of zero is never kept.
            if *count == 0 {
                taken.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use dos_daemon::rate::RateLimiter;

    use super::*;

    #[test]
    fn ten_seconds_worth_of_requests_come_at_once() {
        let limits = Limits { requests_per_second: 2, ..Limits::default() };
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        assert!((0..20).all(|_| limiter.take(1, limits.requests(), now).is_ok()));
        assert_eq!(limiter.take(1, limits.requests(), now), Err(Duration::from_millis(500)));
    }

    #[test]
    fn a_place_is_free_again_when_its_session_is_over() {
        let crowd = Crowd::default();
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = crowd.enter(here, 2).unwrap();
        let _second = crowd.enter(here, 2).unwrap();
        assert!(crowd.enter(here, 2).is_none());
        assert!(crowd.enter(there, 2).is_some(), "another address is not concerned");
        drop(first);
        assert!(crowd.enter(here, 2).is_some());
        assert_eq!(crowd.0.lock().unwrap().len(), 1, "nothing is kept of who has left");
    }

    #[test]
    fn a_limit_of_nothing_is_refused_by_its_name() {
        let said = FileConfig { requests_per_second: Some(0), ..FileConfig::default() };
        let error = Limits::new(&said).unwrap_err();
        assert_eq!(error.to_string(), "--requests-per-second needs a number of at least 1");
    }
}
