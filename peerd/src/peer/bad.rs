//! Ways that led to a peer and then brought nothing, while another one did: a path that passes small packets and loses large ones, or a
//! firewall that lets a connection begin. They are left out for some minutes, so that the next transfer does not wait for them again.
//!
//! What always holds: a way is bad only in the network in which it was found so, and for [`BAD_WAY_TIME`]; where nothing else leads to the peer
//! it is tried all the same, and forgotten as soon as it has brought a copy. The memory is bounded; the oldest goes first.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dos_protocol::{PeerId, limits::BAD_WAY_TIME};
use tokio::time::Instant;

/// Ways that are remembered.
const BAD_MAX: usize = 256;

/// Where packets to a peer go. Two ports of one host are one path: what loses the packets to one loses those to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Path {
    /// To a host, whichever side has connected.
    Host(IpAddr),
    /// Through the directory.
    Relay,
}

/// Why a way is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A transfer came to a stand on it.
    Stalled,
    /// It took the connection, and the handshake got no further.
    NoHandshake,
}

impl Why {
    /// As people are told.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "it connected and then brought nothing, while another way did",
            Self::NoHandshake => "it took the connection and answered nothing on it",
        }
    }
}

/// A way that is remembered as bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) why: Why,
    pub(super) until: Instant,
}

/// The paths that a call does without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Avoided(Vec<Path>);

impl Avoided {
    pub(super) fn has(&self, path: Path) -> bool {
        self.0.contains(&path)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// And this one.
    pub(super) fn and(mut self, path: Option<Path>) -> Self {
        self.0.extend(path);
        self
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct BadWays(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The addresses of this host when they were found.
    network: Vec<IpAddr>,
    ways: HashMap<(PeerId, Path), Bad>,
}

impl BadWays {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known in the network in which this host has these addresses; they are asked for only if something is known at all, as seldom happens.
    fn state(&self, network: impl FnOnce() -> Vec<IpAddr>) -> MutexGuard<'_, State> {
        if self.locked().ways.is_empty() {
            return self.locked();
        }
        self.state_in(network())
    }

    fn state_in(&self, mut network: Vec<IpAddr>) -> MutexGuard<'_, State> {
        network.sort_unstable();
        network.dedup();
        let mut state = self.locked();
        if state.network != network {
            *state = State { network, ways: HashMap::new() };
        }
        let now = Instant::now();
        state.ways.retain(|_, bad| bad.until > now);
        state
    }

    /// A way to this peer was found to be bad.
    pub(super) fn put(&self, peer: PeerId, (path, why): (Path, Why), network: impl FnOnce() -> Vec<IpAddr>) {
        let mut state = self.state_in(network());
        let oldest = state.ways.iter().min_by_key(|(_, bad)| bad.until).map(|(way, _)| *way);
        if state.ways.len() >= BAD_MAX
            && !state.ways.contains_key(&(peer, path))
            && let Some(oldest) = oldest
        {
            state.ways.remove(&oldest);
        }
        state.ways.insert((peer, path), Bad { why, until: Instant::now() + BAD_WAY_TIME });
    }

    /// It works after all. Whether it was bad.
    pub(super) fn works(&self, peer: PeerId, path: Path, network: impl FnOnce() -> Vec<IpAddr>) -> bool {
        self.state(network).ways.remove(&(peer, path)).is_some()
    }

    pub(super) fn get(&self, peer: PeerId, path: Path, network: impl FnOnce() -> Vec<IpAddr>) -> Option<Bad> {
        self.state(network).ways.get(&(peer, path)).copied()
    }

    /// What a call of this peer does without.
    pub(super) fn of(&self, peer: PeerId, network: impl FnOnce() -> Vec<IpAddr>) -> Avoided {
        let state = self.state(network);
        Avoided(state.ways.keys().filter(|(of, _)| *of == peer).map(|(_, path)| *path).collect())
    }
}

/// How long a way is bad from now on.
pub(super) fn left(bad: Bad) -> Duration {
    bad.until.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn home() -> Vec<IpAddr> {
        vec![ip(1), ip(2)]
    }

    const STALLED: (Path, Why) = (Path::Relay, Why::Stalled);

    #[tokio::test(start_paused = true)]
    async fn a_bad_way_is_that_of_one_peer_for_some_minutes_or_until_it_works() {
        let (bad, host) = (BadWays::default(), Path::Host(ip(7)));
        bad.put(peer(1), (host, Why::Stalled), home);
        bad.put(peer(1), STALLED, home);
        assert!(bad.of(peer(1), home).has(host) && bad.of(peer(2), home).is_empty());
        assert!(bad.works(peer(1), Path::Relay, home) && !bad.works(peer(1), Path::Relay, home));
        tokio::time::advance(BAD_WAY_TIME - Duration::from_secs(1)).await;
        assert_eq!(bad.get(peer(1), host, home).map(left), Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(bad.get(peer(1), host, home), None);
    }

    #[tokio::test]
    async fn in_another_network_every_way_is_tried_again() {
        let bad = BadWays::default();
        bad.put(peer(1), STALLED, home);
        assert!(bad.of(peer(1), || vec![ip(2), ip(1), ip(2)]).has(Path::Relay), "the same in another order");
        assert!(bad.of(peer(1), || vec![ip(1)]).is_empty());
        assert!(bad.of(peer(1), home).is_empty(), "it does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_remembered_and_the_oldest_goes_first() {
        let bad = BadWays::default();
        for number in 0..=u64::try_from(BAD_MAX).unwrap() {
            bad.put(peer(number), STALLED, home);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(bad.state(home).ways.len(), BAD_MAX);
        assert!(bad.of(peer(0), home).is_empty() && !bad.of(peer(1), home).is_empty());
    }
}
