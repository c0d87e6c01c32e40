//! Who is admitted next and who has to go: a pure account of the connections that have not proved who they are.
//!
//! No clock, no socket: the caller passes the time in and does what the [`News`] are. Every step takes logarithmic time in the
//! number of connections, but for the choice among keys whose connections wait.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// How many there may be in all, and of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// In all.
    pub all: usize,
    /// Of one key.
    pub each: usize,
}

/// How many connections there may be that have not proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// All of them: each costs a file descriptor and little more.
    pub open: Share,
    /// Those that are admitted, so that they are worked for: each costs the memory of a handshake.
    pub admitted: Share,
    /// How long one that is admitted goes before others of its own key that wait.
    pub grace: Duration,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has sent nothing yet, or waits until it is admitted.
    Waits,
    /// It is worked for.
    Admitted,
    /// It had to make room and counts no more.
    Displaced,
}

/// What has changed for other connections, or for the one that a step is about.
pub(super) type News = Vec<(u64, Standing)>;

/// The connections of one key, in the order of their arrival.
#[derive(Debug, Default)]
struct Crowd {
    silent: BTreeSet<u64>,
    queued: BTreeSet<u64>,
    /// And since when.
    admitted: BTreeMap<u64, Instant>,
}

impl Crowd {
    fn len(&self) -> usize {
        self.silent.len() + self.queued.len() + self.admitted.len()
    }

    /// The one that is missed least: the oldest that has sent nothing, or else the last in the queue, or else the oldest that is
    /// worked for and has not finished.
    fn least_missed(&self) -> Option<u64> {
        let silent = self.silent.first();
        silent.or_else(|| self.queued.last()).or_else(|| self.admitted.keys().next()).copied()
    }

    fn remove(&mut self, id: u64) {
        self.silent.remove(&id);
        self.queued.remove(&id);
        self.admitted.remove(&id);
    }
}

/// Keys by what they have: the one with the most, of several the one whose first connection is the oldest.
#[derive(Debug)]
struct Ranking<K>(BTreeSet<(usize, Reverse<u64>, K)>);

impl<K: Ord + Copy> Ranking<K> {
    fn replace(&mut self, key: K, before: Option<(usize, u64)>, after: Option<(usize, u64)>) {
        if before == after {
            return;
        }
        if let Some((count, first)) = before {
            self.0.remove(&(count, Reverse(first), key));
        }
        if let Some((count, first)) = after {
            self.0.insert((count, Reverse(first), key));
        }
    }

    fn heaviest(&self) -> Option<(usize, K)> {
        self.0.last().map(|(count, _, key)| (*count, *key))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<K> {
    bounds: Bounds,
    next: u64,
    keys: HashMap<u64, K>,
    crowds: BTreeMap<K, Crowd>,
    admitted: usize,
    by_open: Ranking<K>,
    by_admitted: Ranking<K>,
    /// Keys with connections in the queue.
    waiting: BTreeSet<K>,
}

impl<K: Ord + Copy> Queue<K> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            next: 0,
            keys: HashMap::new(),
            crowds: BTreeMap::new(),
            admitted: 0,
            by_open: Ranking(BTreeSet::new()),
            by_admitted: Ranking(BTreeSet::new()),
            waiting: BTreeSet::new(),
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A connection of `key`, which has sent nothing yet; `None` if there is no room for it.
    ///
    /// When there are too many in all, one of the key with the most makes room, so that no key keeps another out. Too many of one
    /// key are refused: those that came before are nearer to their turn.
    pub(super) fn arrive(&mut self, key: K) -> Option<(u64, News)> {
        let own = self.crowds.get(&key).map_or(0, Crowd::len);
        if own >= self.bounds.open.each {
            return None;
        }
        let mut news = News::new();
        if self.keys.len() >= self.bounds.open.all {
            let displaced = self.least_missed_of_all(own)?;
            self.remove(displaced);
            news.push((displaced, Standing::Displaced));
        }
        let id = self.next;
        self.next += 1;
        self.keys.insert(id, key);
        self.change(key, |crowd| crowd.silent.insert(id));
        Some((id, news))
    }

    /// The connection that makes room for another one of a key that has `own`.
    fn least_missed_of_all(&self, own: usize) -> Option<u64> {
        let (most, heaviest) = self.by_open.heaviest()?;
        let crowd = self.crowds.get(&heaviest)?;
        let id = crowd.least_missed()?;
        // Where that only moves the crowd from one key to another, those that work for their turn keep it.
        (most > own + 1 || (most > own && crowd.silent.contains(&id))).then_some(id)
    }

    /// Something came on it: it wants to be admitted. Said again while it waits, it looks whether one that takes too long can be
    /// displaced by now.
    pub(super) fn ready(&mut self, id: u64, now: Instant) -> News {
        let Some(&key) = self.keys.get(&id) else { return News::new() };
        let is_queued = self.change(key, |crowd| {
            if crowd.silent.remove(&id) {
                crowd.queued.insert(id);
            }
            crowd.queued.contains(&id)
        });
        let mut news = News::new();
        if !is_queued {
            return news;
        }
        if !self.has_room(key)
            && let Some(displaced) = self.in_the_way_of(key, now)
        {
            self.remove(displaced);
            news.push((displaced, Standing::Displaced));
        }
        self.admit_waiting(now, &mut news);
        news
    }

    /// It has gone, or proved who it is.
    pub(super) fn leave(&mut self, id: u64, now: Instant) -> News {
        let mut news = News::new();
        self.remove(id);
        self.admit_waiting(now, &mut news);
        news
    }

    fn has_room(&self, key: K) -> bool {
        self.admitted < self.bounds.admitted.all && self.admitted_of(key) < self.bounds.admitted.each
    }

    fn admitted_of(&self, key: K) -> usize {
        self.crowds.get(&key).map_or(0, |crowd| crowd.admitted.len())
    }

    /// The connection that is admitted and has to make room for `key`, if any has: the oldest of its own where it has as many as it
    /// may, or else of the key with the most, and only one that takes long, unless that key has clearly more.
    fn in_the_way_of(&self, key: K, now: Instant) -> Option<u64> {
        let own = self.admitted_of(key);
        let (most, of) =
            if own >= self.bounds.admitted.each { (own, key) } else { self.by_admitted.heaviest()? };
        let (&id, &since) = self.crowds.get(&of)?.admitted.first_key_value()?;
        (most > own + 1 || since + self.bounds.grace <= now).then_some(id)
    }

    /// Admits those that wait while there is room: first of the key that has the fewest admitted, in the order of arrival.
    fn admit_waiting(&mut self, now: Instant, news: &mut News) {
        while self.admitted < self.bounds.admitted.all {
            let first = |key: &K| self.crowds.get(key).and_then(|crowd| crowd.queued.first().copied());
            let with_room = self.waiting.iter().filter(|key| self.has_room(**key));
            let Some(key) = with_room.min_by_key(|key| (self.admitted_of(**key), first(key))).copied() else {
                return;
            };
            let admitted = self.change(key, |crowd| {
                let id = crowd.queued.pop_first()?;
                crowd.admitted.insert(id, now);
                Some(id)
            });
            news.extend(admitted.map(|id| (id, Standing::Admitted)));
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(key) = self.keys.remove(&id) {
            self.change(key, |crowd| crowd.remove(id));
        }
    }

    /// Changes the crowd of a key, and what is counted by it.
    fn change<R>(&mut self, key: K, change: impl FnOnce(&mut Crowd) -> R) -> R {
        let crowd = self.crowds.entry(key).or_default();
        let counts = |crowd: &Crowd| {
            let first = [crowd.silent.first(), crowd.queued.first(), crowd.admitted.keys().next()];
            let open = first.into_iter().flatten().min().map(|first| (crowd.len(), *first));
            let admitted = crowd.admitted.keys().next().map(|first| (crowd.admitted.len(), *first));
            (open, admitted)
        };
        let (open, admitted) = counts(crowd);
        let changed = change(crowd);
        let (open_now, admitted_now) = counts(crowd);
        self.admitted = self.admitted + crowd.admitted.len() - admitted.map_or(0, |(count, _)| count);
        if crowd.queued.is_empty() {
            self.waiting.remove(&key);
        } else {
            self.waiting.insert(key);
        }
        if open_now.is_none() {
            self.crowds.remove(&key);
        }
        self.by_open.replace(key, open, open_now);
        self.by_admitted.replace(key, admitted, admitted_now);
        changed
    }
}

#[cfg(test)]
mod tests;
