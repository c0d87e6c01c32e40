//! Attempts to connect to other hosts, counted by host, whichever peers name it: what a peer announces, or the directory says,
//! makes this daemon knock at no host more often than now and then.
//!
//! What always holds: an attempt at which a peer has proved its key counts for nothing afterwards, so that peers on one host are
//! called as often as need be.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dos_protocol::limits::HOST_ATTEMPTS_TIME;
use tokio::{sync::Notify, time::sleep};

use crate::rules::reach::{self, host_of};

/// Hosts that are counted at once; others wait.
const HOSTS_MAX: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    hosts: Mutex<HashMap<IpAddr, reach::Attempts>>,
    /// When an attempt has succeeded, another one may begin.
    freed: Notify,
}

/// An attempt that has begun.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a Attempts,
    host: IpAddr,
    begun: Instant,
}

impl Attempts {
    /// Waits until an attempt to connect there may begin. The caller bounds the time.
    pub(super) async fn begin(&self, ip: IpAddr) -> Attempt<'_> {
        let host = host_of(ip);
        loop {
            // Before the look, so that no place is missed that becomes free in between.
            let freed = self.freed.notified();
            let begun = Instant::now();
            let Err(wait) = self.try_begin(host, begun) else {
                return Attempt { attempts: self, host, begun };
            };
            tokio::select! {
                () = freed => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn try_begin(&self, host: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut hosts = self.hosts();
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&host) {
            hosts.retain(|_, attempts| !attempts.is_over(now));
            if hosts.len() >= HOSTS_MAX {
                return Err(HOST_ATTEMPTS_TIME);
            }
        }
        hosts.entry(host).or_default().begin(now)
    }

    /// A peer has connected from there, as was arranged, while this daemon tried to connect to it.
    pub(super) fn met(&self, ip: IpAddr) {
        if let Some(attempts) = self.hosts().get_mut(&host_of(ip)) {
            attempts.met();
        }
        self.freed.notify_waiters();
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<IpAddr, reach::Attempts>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// It has led to the peer that was called.
    pub(super) fn succeeded(self) {
        if let Some(attempts) = self.attempts.hosts().get_mut(&self.host) {
            attempts.succeeded(self.begun);
        }
        self.attempts.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn the_fourth_attempt_at_a_host_waits_until_one_has_succeeded_or_a_second_is_over() {
        let attempts = Attempts::default();
        let first = attempts.begin(ip("127.0.0.1")).now_or_never().unwrap();
        for same in ["127.0.0.2", "::1"] {
            assert!(attempts.begin(ip(same)).now_or_never().is_some());
        }
        assert!(attempts.begin(ip("192.0.2.1")).now_or_never().is_some(), "another host");
        let mut fourth = Box::pin(attempts.begin(ip("127.0.0.3")));
        assert!(fourth.as_mut().now_or_never().is_none());
        first.succeeded();
        let _fourth = fourth.now_or_never().unwrap();
        let begun = Instant::now();
        let _fifth = attempts.begin(ip("127.0.0.1")).await;
        assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn the_table_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..u32::try_from(HOSTS_MAX).unwrap() {
            let _attempt = attempts.begin(IpAddr::V4((0x0a00_0000 + number).into())).await;
        }
        assert!(attempts.hosts().len() <= HOSTS_MAX);
    }
}
