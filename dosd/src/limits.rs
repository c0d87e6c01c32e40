//! How much one peer, one address, and all together may take: the limits in force.
//!
//! What is refused by a limit is refused before anything is done, with the limit's name and, where waiting helps, the time
//! after which to ask again. What a peer must always be able to do (take back a right, spend a view, sign out) has no limit
//! but that of its requests.

use std::time::Duration;

use dos_daemon::rate::Rate;

use crate::rules::Quotas;

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
    /// Views of one peer in a minute, and at once.
    pub views_per_minute: u32,
    /// Images that one peer may publish.
    pub images_per_peer: u32,
    /// Bytes of all previews of one peer.
    pub preview_bytes_per_peer: u64,
    /// Bytes of the images, grants and requests of one peer, without previews.
    pub row_bytes_per_peer: u64,
    /// Messages and requests of one peer that wait for another one.
    pub inbox_rows_per_sender: u32,
    /// Updates that wait for one peer, before it gets no more messages, requests and rights.
    pub inbox_rows_max: u32,
    /// The same in bytes.
    pub inbox_bytes_max: u64,
    /// Bytes that one peer has waiting for all others.
    pub sent_bytes_per_peer: u64,
    /// Bytes of the database, if they are bounded.
    pub database_bytes_max: Option<u64>,
    /// Bytes of the disk that stay free.
    pub disk_reserve_bytes: u64,
}

impl Limits {
    /// The requests of one peer.
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
            row_bytes: self.row_bytes_per_peer,
            inbox_rows: self.inbox_rows_max.into(),
            inbox_rows_per_sender: self.inbox_rows_per_sender.into(),
            inbox_bytes: self.inbox_bytes_max,
            sent_bytes: self.sent_bytes_per_peer,
            database_bytes: self.database_bytes_max,
            disk_reserve: self.disk_reserve_bytes,
        }
    }
}

/// What the rate gives in this time may come at once: what a script does in one go.
const REQUEST_BURST: Duration = Duration::from_secs(10);

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
}
