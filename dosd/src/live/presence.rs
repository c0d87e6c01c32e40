//! The log of presence: which peers came online and went offline, for those sessions that have subscribed.
//!
//! Every change of a peer gets the next version and takes the place of the peer's last one; a [`Follower`] remembers the
//! version that it has seen and takes what is newer, at most every [`PRESENCE_PAUSE`] and a bounded number at a time. So a
//! peer that comes and goes a hundred times in between is one change, and ten thousand peers cost a follower no more than
//! their number. What always holds: the log never has more than [`PRESENCE_KEPT`] entries (a follower for which that was too
//! few is notified of it), and while no one follows, a change costs one look at a counter.
//!
//! Nothing here is stored, and nothing is known of who was online before the first follower.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dos_protocol::{
    Code, PeerId, WireError,
    directory::{Changes, Presence, Subscription},
    limits::{PRESENCE_KEPT, PRESENCE_PAUSE, PRESENCE_PER_PUSH_MAX, SUBSCRIBED_PEERS_MAX},
};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// See the module.
#[derive(Debug)]
pub(super) struct PresenceLog {
    followers: AtomicUsize,
    /// The last version, for those who wait for the next.
    latest: watch::Sender<u64>,
    changed: Mutex<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    last: u64,
    /// The changes up to this version are no longer all here.
    dropped: u64,
    by_peer: HashMap<PeerId, (u64, Presence)>,
    by_version: BTreeMap<u64, PeerId>,
}

impl Default for PresenceLog {
    fn default() -> Self {
        Self { followers: AtomicUsize::new(0), latest: watch::Sender::new(0), changed: Mutex::default() }
    }
}

impl PresenceLog {
    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock()
    }

    /// Notes a change; `presence` is made only if anyone follows.
    pub(super) fn note(&self, presence: impl FnOnce() -> Presence) {
        if self.followers.load(Ordering::Acquire) == 0 {
            return;
        }
        let latest = self.changed().note(presence());
        // The lock is free again, so of two that note at once the later change may come here first.
        self.latest.send_if_modified(|now| {
            let is_news = latest > *now;
            *now = latest.max(*now);
            is_news
        });
    }

    /// Follows the changes from now on, for the session of `me`; `None` for a subscription to no one.
    ///
    /// # Errors
    /// `invalid` if it names too many peers.
    pub(super) fn follow(
        self: &Arc<Self>,
        me: PeerId,
        subscription: Subscription,
    ) -> Result<Option<Follower>, WireError> {
        let followed = match subscription {
            Subscription::Nobody => return Ok(None),
            Subscription::Everybody => Followed::Everyone,
            Subscription::These(peers) if peers.len() > SUBSCRIBED_PEERS_MAX => {
                let text = format!("a subscription names at most {SUBSCRIBED_PEERS_MAX} peers");
                return Err(WireError::new(Code::Invalid, text));
            }
            Subscription::These(mut peers) => {
                peers.sort_unstable();
                peers.dedup();
                Followed::These(peers.into())
            }
        };
        // Under the lock, as in the last follower's end: between the two, that would forget what this one is to see.
        let changed = self.changed();
        self.followers.fetch_add(1, Ordering::AcqRel);
        let (seen, news) = (changed.last, self.latest.subscribe());
        drop(changed);
        Ok(Some(Follower { log: Arc::clone(self), me, followed, seen, news, not_before: Instant::now() }))
    }
}

impl Changed {
    fn note(&mut self, presence: Presence) -> u64 {
        self.last += 1;
        let peer = presence.id;
        if let Some((old, _)) = self.by_peer.insert(peer, (self.last, presence)) {
            self.by_version.remove(&old);
        }
        self.by_version.insert(self.last, peer);
        if self.by_version.len() > PRESENCE_KEPT
            && let Some((version, peer)) = self.by_version.pop_first()
        {
            self.by_peer.remove(&peer);
            self.dropped = version;
        }
        self.last
    }

    /// The oldest changes after `seen`, at most [`PRESENCE_PER_PUSH_MAX`], and up to which version these are all.
    fn of_everyone(&self, seen: u64) -> (Vec<Presence>, u64) {
        let next = self.by_version.range(seen.saturating_add(1)..).take(PRESENCE_PER_PUSH_MAX);
        let (mut peers, mut upto) = (Vec::new(), seen);
        for (version, peer) in next {
            upto = *version;
            peers.extend(self.by_peer.get(peer).map(|(_, presence)| presence.clone()));
        }
        (peers, upto)
    }

    /// The same of these peers: looked up one by one, so that all the others cost nothing.
    fn of_these(&self, peers: &[PeerId], seen: u64) -> (Vec<Presence>, u64) {
        let mut newer: Vec<_> =
            peers.iter().filter_map(|peer| self.by_peer.get(peer)).filter(|(at, _)| *at > seen).collect();
        newer.sort_unstable_by_key(|(version, _)| *version);
        let upto = if newer.len() > PRESENCE_PER_PUSH_MAX {
            newer.truncate(PRESENCE_PER_PUSH_MAX);
            newer.last().map_or(self.last, |(version, _)| *version)
        } else {
            self.last
        };
        (newer.into_iter().map(|(_, presence)| presence.clone()).collect(), upto)
    }
}

#[derive(Debug)]
enum Followed {
    Everyone,
    /// In the order of their IDs.
    These(Box<[PeerId]>),
}

/// What one session has seen of the log. The log forgets everything when the last follower is dropped.
#[derive(Debug)]
pub struct Follower {
    log: Arc<PresenceLog>,
    me: PeerId,
    followed: Followed,
    seen: u64,
    news: watch::Receiver<u64>,
    not_before: Instant,
}

impl Follower {
    /// Waits until there may be something to take, and not before the pause after the last time is over. Cancel-safe.
    pub async fn news(&mut self) {
        sleep_until(self.not_before).await;
        let seen = self.seen;
        if self.news.wait_for(|latest| *latest > seen).await.is_err() {
            // This follower holds the log, so it never goes.
            std::future::pending::<()>().await;
        }
    }

    /// Takes the changes since the last time, each peer once, without the follower itself and the peers that `hides` names.
    /// What does not fit comes with the next call.
    pub fn take(&mut self, hides: impl Fn(PeerId) -> bool) -> Option<Changes> {
        self.not_before = Instant::now() + PRESENCE_PAUSE;
        let changed = self.log.changed();
        let missed = self.seen < changed.dropped;
        let seen = self.seen.max(changed.dropped);
        let (mut peers, upto) = match &self.followed {
            Followed::Everyone => changed.of_everyone(seen),
            Followed::These(these) => changed.of_these(these, seen),
        };
        drop(changed);
        self.seen = upto;
        peers.retain(|peer| peer.id != self.me && !hides(peer.id));
        (missed || !peers.is_empty()).then_some(Changes { peers, missed })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut changed = self.log.changed();
        if self.log.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *changed = Changed { last: changed.last, dropped: changed.last, ..Changed::default() };
        }
    }
}

#[cfg(test)]
mod tests;
