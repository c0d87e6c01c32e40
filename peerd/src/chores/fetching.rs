//! Fetching the copies of grants of contacts before somebody wants to see them, until none is missing.
//!
//! Nothing connects to a stranger: its grant is an offer, and a connection would tell it that and where this peer is.
//!
//! What always holds: there is no pause while a copy is missing and its owner answers; an owner that cannot be reached is left
//! alone for longer and longer, and the copies of the others do not wait for it. Nothing is evicted for these copies, or two
//! of them might evict each other for ever.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    Code, ImageNo, PeerId, Reason, Revision, Timestamp, WireError, control::EventKind, model::Grant,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    feed::Feed,
    identity::Identities,
    random::jitter,
    rules::{
        cache::{self, Room},
        retry::{OWNER_PAUSE_MAX, is_of_owner, owner_pause},
    },
    settings::CurrentSettings,
    source::Source,
    trust::Trust,
    upstream::Upstream,
};

/// Copies that are fetched together: while some are on their way, others are put on the disk, and the next are asked for.
const FETCHES_MAX: usize = 8;

/// Owners who are looked up together.
const OWNERS_MAX: usize = 16;

/// A copy that its owner does not give is asked for again after this time, unless the grant changes before.
const COPY_AGAIN: Duration = Duration::from_secs(300);

/// What fetching works with.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) identity: Arc<Identities>,
    pub(crate) settings: CurrentSettings,
    pub(crate) cache: Cache,
    pub(crate) feed: Arc<Feed>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) trust: Arc<Trust>,
}

/// Which grants are left alone for how long.
#[derive(Debug, Default)]
struct Pauses {
    owners: HashMap<PeerId, (u32, Instant)>,
    copies: HashMap<(ImageNo, Revision), Instant>,
}

impl Pauses {
    /// Until when this grant's copy is not asked for.
    fn until(&self, grant: &Grant) -> Option<Instant> {
        let owner = self.owners.get(&grant.path.owner).map(|(_, until)| *until);
        owner.max(self.copies.get(&(grant.image, grant.revision)).copied())
    }

    /// Takes note of what came of a fetch.
    fn note(&mut self, grant: &Grant, outcome: &Result<(), WireError>, now: Instant) {
        let owner = grant.path.owner;
        match outcome {
            Ok(()) => drop(self.owners.remove(&owner)),
            Err(error) if is_of_owner(error.code, error.reason) => {
                let (failures, _) = self.owners.get(&owner).copied().unwrap_or((0, now));
                self.owners.insert(owner, (failures.saturating_add(1), now + spread(owner_pause(failures))));
            }
            Err(_) => {
                self.owners.remove(&owner);
                self.copies.insert((grant.image, grant.revision), now + spread(COPY_AGAIN));
            }
        }
    }

    fn forget_past(&mut self, now: Instant) {
        // An owner stays known until it was reached, so that its pauses go on growing.
        self.copies.retain(|_, until| *until > now);
    }

    /// A new session: whatever could not be reached before may be reached now.
    fn clear(&mut self) {
        *self = Self::default();
    }
}

fn spread(least: Duration) -> Duration {
    least + least.mul_f64(f64::from(jitter()) / f64::from(u32::MAX) / 4.0)
}

type Fetched = (Box<Grant>, Result<(), WireError>);

struct Worker {
    fetching: Arc<Fetching>,
    fetches: JoinSet<Fetched>,
    in_flight: HashSet<ImageNo>,
    pauses: Pauses,
}

/// Runs until `stop`.
pub(crate) async fn run(fetching: Fetching, stop: CancellationToken) {
    let fetching = Arc::new(fetching);
    let mut status = fetching.upstream.status();
    let mut worker = Worker {
        fetching: Arc::clone(&fetching),
        fetches: JoinSet::new(),
        in_flight: HashSet::new(),
        pauses: Pauses::default(),
    };
    let (mut session, mut look, mut again) = (None, true, None);
    loop {
        let now = status.borrow_and_update().online();
        if now != session {
            session = now;
            worker.pauses.clear();
            look = true;
        }
        if look && session.is_some() {
            let work = async {
                if fetching.settings.get().auto_fetch { worker.pass().await } else { worker.learn().await }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                next = work => again = next,
            }
            look = false;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
            () = fetching.cache.wanted() => look = true,
            () = fetching.cache.store.offers().fewer() => look = true,
            // After a failure there is a time to wait for; after the last one a look whether anything is missing still.
            failed = worker.finish_one(), if !worker.fetches.is_empty() => {
                look |= failed || worker.fetches.is_empty();
            }
            () = async { sleep_until(again.unwrap_or_else(Instant::now)).await }, if again.is_some() => {
                (look, again) = (true, None);
            }
        }
    }
}

impl Worker {
    /// Copies are fetched when somebody wants to see them: their owners can be called at once then, and need not be looked up first.
    async fn learn(&self) -> Option<Instant> {
        if let Err(error) = self.try_learn().await {
            tracing::debug!(error = %error.message, "where owners are is found out when it is needed");
        }
        None
    }

    async fn try_learn(&self) -> Result<(), WireError> {
        let Fetching { identity, cache, trust, .. } = &*self.fetching;
        let Some((me, _)) = identity.registered() else { return Ok(()) };
        let lacking = cache.store.lacking(me, None).await?;
        let owners: BTreeSet<PeerId> = lacking.iter().map(|grant| grant.path.owner).collect();
        for owner in owners.into_iter().filter(|owner| trust.known(*owner).is_none()).take(OWNERS_MAX) {
            trust.contact(owner).await?;
            tracing::debug!(%owner, "an owner was looked up");
        }
        Ok(())
    }

    /// Begins to fetch everything that is missing. Returns when to look again at the latest, if anything is left.
    async fn pass(&mut self) -> Option<Instant> {
        match self.try_pass().await {
            Ok(again) => again,
            Err(error) => {
                tracing::debug!(error = %error.message, "cannot look for missing copies");
                Some(Instant::now() + OWNER_PAUSE_MAX)
            }
        }
    }

    async fn try_pass(&mut self) -> Result<Option<Instant>, WireError> {
        let Some((me, _)) = self.fetching.identity.registered() else { return Ok(None) };
        self.pauses.forget_past(Instant::now());
        let taken = cache::total(&self.fetching.cache.store.cached().await?);
        let mut room = Room::new(taken, self.fetching.settings.get().cache_bytes_max);
        let (mut again, mut after) = (None, None);
        loop {
            let page = self.fetching.cache.store.lacking(me, after).await?;
            let Some(last) = page.last() else { return Ok(again) };
            after = Some(last.image);
            for grant in page {
                if self.in_flight.contains(&grant.image) {
                    continue;
                }
                let until = self.pauses.until(&grant).filter(|until| *until > Instant::now());
                if until.is_none() && room.admit(&grant, self.fetching.cache.store.clock().at_least()) {
                    self.begin(grant).await;
                } else if let Some(until) = until {
                    again = Some(again.map_or(until, |again: Instant| again.min(until)));
                }
            }
        }
    }

    /// Begins a fetch as soon as there is a place for it.
    async fn begin(&mut self, grant: Grant) {
        while self.fetches.len() >= FETCHES_MAX {
            self.finish_one().await;
        }
        // What came of the ones before may speak of this one's owner, too; then the next pass finds when it is due.
        if self.pauses.until(&grant).is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.in_flight.insert(grant.image);
        let fetching = Arc::clone(&self.fetching);
        self.fetches.spawn(async move {
            let outcome = Box::pin(fetch(&fetching, &grant)).await;
            (Box::new(grant), outcome)
        });
    }

    /// Waits for the end of one fetch. Returns whether it failed.
    async fn finish_one(&mut self) -> bool {
        match self.fetches.join_next().await {
            Some(Ok((grant, outcome))) => {
                self.in_flight.remove(&grant.image);
                if let Err(error) = &outcome {
                    tracing::debug!(error = %error.message, image = %grant.path, "not fetched yet");
                }
                self.pauses.note(&grant, &outcome, Instant::now());
                outcome.is_err()
            }
            Some(Err(_)) => true,
            None => {
                // Of one that was cut off nothing else is known.
                self.in_flight.clear();
                false
            }
        }
    }
}

async fn fetch(fetching: &Fetching, grant: &Grant) -> Result<(), WireError> {
    let here = fetching.cache.store.has_copy(grant.sealed.hash).await?;
    let mut progress = |_| ();
    tokio::select! {
        biased;
        blocked = fetching.cache.store.until_blocked(grant.path.owner) => {
            blocked?;
            return Err(WireError::new(Code::Denied, "its owner is blocked").because(Reason::Blocked));
        }
        fetched = fetching.source.fetch(grant, &mut progress) => drop(fetched?),
    }
    if !here {
        fetching.feed.events.tell(Timestamp::now(), EventKind::Fetched(grant.path.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        SealedHash, SplitId,
        model::{Allowance, SealedCopy},
    };

    use super::*;

    fn grant(owner: &str, image: u64, revision: u64) -> Grant {
        Grant {
            image: ImageNo(image),
            path: format!("{owner}/sea").parse().unwrap(),
            owner_name: None,
            viewer: "8yLrQn3S".parse().unwrap(),
            viewer_name: None,
            views_left: Allowance::Views(1),
            views_used: 0,
            expires_at: None,
            revoked: false,
            revision: Revision(revision),
            split: SplitId::from([1; 16]),
            sealed: SealedCopy { hash: SealedHash::from([1; 32]), bytes: 1 },
            check: None,
            allow_offline: false,
            returned: 0,
            offer: false,
        }
    }

    #[test]
    fn an_owner_that_is_away_is_left_alone_for_longer_and_longer_and_no_other() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let (away, other) = (grant("7xKqPm2R", 1, 1), grant("9zMsRp4T", 2, 1));
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            pauses.note(&away, &Err(WireError::new(Code::Offline, "x")), now);
            let wait = pauses.until(&away).unwrap() - now;
            assert!(wait > last && wait <= OWNER_PAUSE_MAX * 2, "{wait:?}");
            last = wait;
        }
        assert_eq!(pauses.until(&other), None);
        pauses.note(&away, &Ok(()), now);
        assert_eq!(pauses.until(&away), None);
    }

    #[test]
    fn a_copy_that_is_refused_waits_alone_and_until_its_grant_changes() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        pauses.note(&grant("7xKqPm2R", 1, 1), &Err(WireError::new(Code::Denied, "x")), now);
        assert!(pauses.until(&grant("7xKqPm2R", 1, 1)).is_some());
        assert_eq!(pauses.until(&grant("7xKqPm2R", 1, 2)), None);
        assert_eq!(pauses.until(&grant("7xKqPm2R", 3, 1)), None);
        let busy = WireError::new(Code::Denied, "x").because(Reason::Limit);
        pauses.note(&grant("7xKqPm2R", 1, 2), &Err(busy), now);
        assert!(pauses.until(&grant("7xKqPm2R", 3, 1)).is_some());
    }
}
