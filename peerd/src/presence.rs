//! Whose presence this daemon subscribes to at the directory: what those who watch want to see together, and nobody's
//! while nobody watches.
//!
//! What always holds: a fresh session gets the subscription that is wanted, whatever an earlier one had; the directory is
//! asked again only if something else is wanted. What comes in is passed on as events; which watcher sees which is decided
//! there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, PeerId,
    control::SessionState,
    directory::{Op, Subscription},
    limits::SUBSCRIBED_PEERS_MAX,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{events::Whom, upstream::Upstream};

/// After a subscription that got no answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long a watcher waits for its subscription before it begins without.
const SETTLING_TIME_MAX: Duration = Duration::from_secs(5);

/// What those who watch want to see, each with the number of those who do.
#[derive(Debug, Default)]
struct Wanted {
    everybody: usize,
    peers: HashMap<PeerId, usize>,
}

impl Wanted {
    fn add(&mut self, whom: &Whom) {
        match whom {
            Whom::Everybody => self.everybody += 1,
            Whom::These(peers) => peers.iter().for_each(|peer| *self.peers.entry(*peer).or_default() += 1),
        }
    }

    fn remove(&mut self, whom: &Whom) {
        match whom {
            Whom::Everybody => self.everybody = self.everybody.saturating_sub(1),
            Whom::These(peers) => {
                for peer in peers.iter() {
                    if let Some(watchers) = self.peers.get_mut(peer) {
                        *watchers = watchers.saturating_sub(1);
                    }
                }
                self.peers.retain(|_, watchers| *watchers > 0);
            }
        }
    }

    /// Together. More peers than a subscription names are had from one to everybody.
    fn subscription(&self) -> Subscription {
        if self.everybody > 0 || self.peers.len() > SUBSCRIBED_PEERS_MAX {
            return Subscription::Everybody;
        }
        let mut peers: Vec<_> = self.peers.keys().copied().collect();
        peers.sort_unstable();
        if peers.is_empty() { Subscription::Nobody } else { Subscription::These(peers) }
    }
}

/// Where watchers say what they want to see.
#[derive(Debug)]
pub(crate) struct Interest {
    wanted: Mutex<Wanted>,
    /// Goes up with every change of what is wanted.
    version: watch::Sender<u64>,
    /// Up to which version the directory knows it.
    settled: watch::Sender<u64>,
}

impl Default for Interest {
    fn default() -> Self {
        let (version, settled) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { wanted: Mutex::default(), version, settled }
    }
}

impl Interest {
    fn change(&self, change: impl FnOnce(&mut Wanted)) -> u64 {
        change(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut version = 0;
        self.version.send_modify(|now| {
            *now += 1;
            version = *now;
        });
        version
    }

    fn subscription(&self) -> Subscription {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).subscription()
    }

    /// Wants to see these until the result is dropped.
    pub(crate) fn watch(self: &Arc<Self>, whom: Whom) -> Watching {
        let version = self.change(|wanted| wanted.add(&whom));
        Watching { interest: Arc::clone(self), whom, version }
    }
}

/// Somebody who watches.
#[derive(Debug)]
pub(crate) struct Watching {
    interest: Arc<Interest>,
    whom: Whom,
    version: u64,
}

impl Watching {
    /// Whom.
    pub(crate) fn whom(&self) -> &Whom {
        &self.whom
    }

    /// Waits until the directory tells of them, if it is there: a watcher that sees the first event misses nothing after it.
    pub(crate) async fn settled(&self, upstream: &Upstream) {
        let (mut settled, mut status) = (self.interest.settled.subscribe(), upstream.status());
        let stands = async {
            tokio::select! {
                _ = settled.wait_for(|settled| *settled >= self.version) => {}
                _ = status.wait_for(|now| now.state != SessionState::Online) => {}
            }
        };
        if timeout(SETTLING_TIME_MAX, stands).await.is_err() {
            tracing::debug!("the directory does not answer a subscription");
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.interest.change(|wanted| wanted.remove(&self.whom));
    }
}

/// Keeps the subscription as it is wanted, until `stop`.
pub(crate) async fn run(interest: Arc<Interest>, upstream: Arc<Upstream>, stop: CancellationToken) {
    let (mut version, mut status) = (interest.version.subscribe(), upstream.status());
    // What the session with this number has subscribed to; every session begins with nobody.
    let mut stands = (0, Subscription::Nobody);
    loop {
        let now = *version.borrow_and_update();
        let session = {
            let status = status.borrow_and_update();
            (status.state == SessionState::Online).then_some(status.session)
        };
        let mut retry = false;
        if let Some(session) = session {
            if stands.0 != session {
                stands = (session, Subscription::Nobody);
            }
            let wanted = interest.subscription();
            if stands.1 != wanted {
                let asking = upstream.request(Op::Subscribe(wanted.clone()));
                let answer = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    answer = asking => answer,
                };
                retry =
                    answer.as_ref().is_err_and(|error| matches!(error.code, Code::Offline | Code::Timeout));
                if let Err(error) = answer {
                    tracing::debug!(error = %error.message, "cannot subscribe");
                }
                if !retry {
                    // A refusal is final for this session, too.
                    stands.1 = wanted;
                }
            }
            if !retry {
                interest.settled.send_replace(now);
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = version.changed() => {}
            _ = status.changed() => {}
            () = sleep(RETRY_AFTER), if retry => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + u64::try_from(number).unwrap()).unwrap()
    }

    fn these(numbers: impl IntoIterator<Item = usize>) -> Whom {
        Whom::These(Arc::new(numbers.into_iter().map(peer).collect()))
    }

    #[test]
    fn the_subscription_is_what_all_watchers_want_together() {
        let interest = Arc::new(Interest::default());
        assert_eq!(interest.subscription(), Subscription::Nobody);
        let first = interest.watch(these([1, 2]));
        let second = interest.watch(these([2, 3]));
        assert_eq!(interest.subscription(), Subscription::These([1, 2, 3].map(peer).into()));
        let third = interest.watch(Whom::Everybody);
        assert_eq!(interest.subscription(), Subscription::Everybody);
        drop(first);
        drop(third);
        assert_eq!(interest.subscription(), Subscription::These([2, 3].map(peer).into()));
        drop(second);
        assert_eq!(interest.subscription(), Subscription::Nobody);
        assert!(interest.wanted.lock().unwrap().peers.is_empty());
    }

    #[test]
    fn more_peers_than_a_subscription_names_are_had_from_everybody() {
        let interest = Arc::new(Interest::default());
        let _half = interest.watch(these(0..SUBSCRIBED_PEERS_MAX));
        assert!(matches!(interest.subscription(), Subscription::These(_)));
        let other = interest.watch(these([SUBSCRIBED_PEERS_MAX]));
        assert_eq!(interest.subscription(), Subscription::Everybody);
        drop(other);
        assert!(matches!(interest.subscription(), Subscription::These(_)));
    }
}
