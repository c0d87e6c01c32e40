//! The board on which it stands who has come and gone, for those sessions that have subscribed.
//!
//! Every change of a peer gets the next version and takes the place of the peer's last one; a [`Follower`] remembers the
//! version that it has seen and takes what is newer, at most every [`PRESENCE_PAUSE`] and a bounded number at a time. So a
//! peer that comes and goes a hundred times in between is told once, and ten thousand peers cost a follower no more than
//! their number. What must hold: the board never has more than [`PRESENCE_KEPT`] entries (a follower for whom that was too
//! few is told so), and while nobody follows, a change costs one look at a counter.
//!
//! Nothing here is stored, and nothing is known of who was online before somebody followed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use dos_protocol::{
    Code, PeerId, WireError,
    directory::{Changes, Presence, Subscription},
    limits::{PRESENCE_KEPT, PRESENCE_PAUSE, PRESENCE_PER_PUSH_MAX, SUBSCRIBED_PEERS_MAX},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// See the module.
#[derive(Debug)]
pub struct Board {
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

impl Default for Board {
    fn default() -> Self {
        Self { followers: AtomicUsize::new(0), latest: watch::Sender::new(0), changed: Mutex::default() }
    }
}

impl Board {
    fn changed(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer is now as `presence` makes it. That is made only if anybody follows.
    pub fn note(&self, presence: impl FnOnce() -> Presence) {
        if self.followers.load(Ordering::Acquire) == 0 {
            return;
        }
        let latest = self.changed().note(presence());
        // Two that note at once may come here in either order.
        self.latest.send_if_modified(|now| {
            let is_news = latest > *now;
            *now = latest.max(*now);
            is_news
        });
    }

    /// Follows the changes from now on, for the session of `me`; nothing for a subscription to nobody.
    ///
    /// # Errors
    /// `invalid` if it names too many peers.
    pub fn follow(
        self: &Arc<Self>,
        me: PeerId,
        subscription: Subscription,
    ) -> Result<Option<Follower>, WireError> {
        let whom = match subscription {
            Subscription::Nobody => return Ok(None),
            Subscription::Everybody => Whom::Everybody,
            Subscription::These(peers) if peers.len() > SUBSCRIBED_PEERS_MAX => {
                let text = format!("a subscription names at most {SUBSCRIBED_PEERS_MAX} peers");
                return Err(WireError::new(Code::Invalid, text));
            }
            Subscription::These(mut peers) => {
                peers.sort_unstable();
                peers.dedup();
                Whom::These(peers.into())
            }
        };
        let changed = self.changed();
        self.followers.fetch_add(1, Ordering::AcqRel);
        let (seen, news) = (changed.last, self.latest.subscribe());
        drop(changed);
        Ok(Some(Follower { board: Arc::clone(self), me, whom, seen, news, not_before: Instant::now() }))
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
    fn of_everybody(&self, seen: u64) -> (Vec<Presence>, u64) {
        let next = self.by_version.range(seen.saturating_add(1)..).take(PRESENCE_PER_PUSH_MAX);
        let (mut peers, mut upto) = (Vec::new(), seen);
        for (version, peer) in next {
            upto = *version;
            peers.extend(self.by_peer.get(peer).map(|(_, presence)| presence.clone()));
        }
        (peers, upto)
    }

    /// The same of some peers: looked up one by one, so that all the others cost nothing.
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
enum Whom {
    Everybody,
    /// In the order of their IDs.
    These(Box<[PeerId]>),
}

/// A session's place on the board. The board forgets everything when the last one is dropped.
#[derive(Debug)]
pub struct Follower {
    board: Arc<Board>,
    me: PeerId,
    whom: Whom,
    seen: u64,
    news: watch::Receiver<u64>,
    not_before: Instant,
}

impl Follower {
    /// Waits until there may be something to take, and not before the pause after the last time is over. Can be given up
    /// and begun again at any time.
    pub async fn news(&mut self) {
        sleep_until(self.not_before).await;
        let seen = self.seen;
        if self.news.wait_for(|latest| *latest > seen).await.is_err() {
            // The board is held by this follower, so it never goes.
            std::future::pending::<()>().await;
        }
    }

    /// Takes the changes since the last time, each peer once, but for those of oneself and of peers that `hides` says
    /// hide from this one. More of them come with the next call.
    pub fn take(&mut self, hides: impl Fn(PeerId) -> bool) -> Option<Changes> {
        self.not_before = Instant::now() + PRESENCE_PAUSE;
        let changed = self.board.changed();
        let missed = self.seen < changed.dropped;
        let seen = self.seen.max(changed.dropped);
        let (mut peers, upto) = match &self.whom {
            Whom::Everybody => changed.of_everybody(seen),
            Whom::These(these) => changed.of_these(these, seen),
        };
        drop(changed);
        self.seen = upto;
        peers.retain(|peer| peer.id != self.me && !hides(peer.id));
        (missed || !peers.is_empty()).then_some(Changes { peers, missed })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut changed = self.board.changed();
        if self.board.followers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *changed = Changed { last: changed.last, dropped: changed.last, ..Changed::default() };
        }
    }
}

#[cfg(test)]
mod tests;
