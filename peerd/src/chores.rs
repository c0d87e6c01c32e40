//! What peerd does by itself: learning whom it has blocked, finishing what a lost connection left open, fetching what it may need, and keeping the
//! copies of others within their bound.
//!
//! What always holds: a chore that fails is tried again after the next sign-in or some minutes later, and disturbs
//! nobody. Nothing here spends a view, except to finish a checkout that was begun.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Code, PeerId, SealedHash, Timestamp, WireError,
    control::EventKind,
    model::{Grant, GrantState, SealedCopy},
};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    Core,
    control::blocks,
    ledger, library,
    random::jitter,
    relearn,
    rules::cache::{self, Room},
    stop::Stop,
};

/// Rights whose copies wait to be fetched; more are found again by the next round.
const ARRIVALS_MAX: usize = 256;

/// Copies that are fetched together.
const FETCHES_MAX: usize = 2;

/// Between two rounds, and up to half as much again.
const ROUND_AFTER: Duration = Duration::from_secs(240);

/// Orders for the chores.
#[derive(Debug)]
pub(crate) struct Chores {
    arrivals: mpsc::Sender<Grant>,
    due: Notify,
    /// Whether the list of blocks is that of the directory since the last sign-in.
    blocks_known: AtomicBool,
}

/// The chores' end of the orders.
pub(crate) type Arrivals = mpsc::Receiver<Grant>;

impl Chores {
    pub(crate) fn new() -> (Self, Arrivals) {
        let (arrivals, waiting) = mpsc::channel(ARRIVALS_MAX);
        (Self { arrivals, due: Notify::new(), blocks_known: AtomicBool::new(false) }, waiting)
    }

    /// A right was received or has changed.
    pub(crate) fn arrived(&self, grant: Grant) {
        // When too many wait, the next round finds this one.
        drop(self.arrivals.try_send(grant));
    }

    /// The session is online.
    pub(crate) fn signed_in(&self) {
        self.blocks_known.store(false, Ordering::Relaxed);
        self.due.notify_one();
    }

    /// The settings have changed: there may be something to do.
    pub(crate) fn look(&self) {
        self.due.notify_one();
    }

    /// Deletes the copies used least recently until `wanted` fits, as far as the bound demands and the rules allow.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn make_room(&self, core: &Core, wanted: SealedCopy) -> Result<(), WireError> {
        let cached = core.store.cached().await?;
        let bytes_max = core.settings().cache_bytes_max;
        for hash in cache::evict(&cached, wanted, bytes_max, |hash| core.copies.is_pinned(hash)) {
            forget(core, hash).await?;
        }
        Ok(())
    }
}

async fn forget(core: &Core, hash: SealedHash) -> Result<(), WireError> {
    core.store.forget_copy(hash).await?;
    core.copies.remove(vec![hash]).await;
    Ok(())
}

/// Runs until `stop`.
pub(crate) async fn run(core: Arc<Core>, mut arrivals: Arrivals, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(FETCHES_MAX));
    let mut fetches = JoinSet::new();
    let mut next_round = Instant::now() + spread(ROUND_AFTER);
    loop {
        let due = tokio::select! {
            biased;
            () = stop.stopped() => return,
            Some(_) = fetches.join_next() => false,
            () = core.chores.due.notified() => true,
            Some(grant) = arrivals.recv(), if core.settings().auto_fetch => {
                begin(&core, &places, &mut fetches, grant);
                false
            }
            () = sleep_until(next_round) => true,
        };
        if due {
            next_round = Instant::now() + spread(ROUND_AFTER);
            if core.upstream.is_online() {
                tokio::select! {
                    biased;
                    () = stop.stopped() => return,
                    () = round(&core, &places, &mut fetches) => {}
                }
            }
        }
    }
}

fn spread(least: Duration) -> Duration {
    least + least.mul_f64(f64::from(jitter()) / f64::from(u32::MAX) / 2.0)
}

/// Finishes what was left open, then looks what is missing.
async fn round(core: &Arc<Core>, places: &Arc<Semaphore>, fetches: &mut JoinSet<()>) {
    if let Err(error) = Box::pin(relearn::run(core)).await {
        tracing::debug!(error = %error.message, "what is lost here is not relearned yet");
    }
    let chores = async {
        if !core.chores.blocks_known.swap(true, Ordering::Relaxed)
            && let Err(error) = blocks::refresh(core).await
        {
            core.chores.blocks_known.store(false, Ordering::Relaxed);
            return Err(error);
        }
        library::finish_publications(core).await?;
        ledger::settle(core).await
    };
    if let Err(error) = Box::pin(chores).await {
        tracing::debug!(error = %error.message, "what was left open stays so");
    }
    if !core.settings().auto_fetch {
        return;
    }
    let Some((me, _)) = core.identity.registered() else { return };
    match missing(core, me).await {
        Ok(grants) => grants.into_iter().for_each(|grant| begin(core, places, fetches, grant)),
        Err(error) => tracing::debug!(error = %error.message, "cannot look for missing copies"),
    }
}

/// Usable rights without a copy, as far as there is room: nothing is evicted for them, or two copies might evict each
/// other for ever.
async fn missing(core: &Core, me: PeerId) -> Result<Vec<Grant>, WireError> {
    let mut room = Room::new(cache::total(&core.store.cached().await?), core.settings().cache_bytes_max);
    let (mut grants, mut after) = (Vec::new(), None);
    loop {
        let page = core.store.lacking(me, after).await?;
        let now = Timestamp::now();
        after = page.last().map(|last| last.image);
        grants.extend(page.into_iter().filter(|grant| room.admit(grant, now)));
        if after.is_none() || grants.len() >= ARRIVALS_MAX {
            grants.truncate(ARRIVALS_MAX);
            return Ok(grants);
        }
    }
}

fn begin(core: &Arc<Core>, places: &Arc<Semaphore>, fetches: &mut JoinSet<()>, grant: Grant) {
    if fetches.len() >= ARRIVALS_MAX {
        return;
    }
    let (core, places) = (Arc::clone(core), Arc::clone(places));
    fetches.spawn(async move {
        let Ok(_place) = places.acquire().await else { return };
        match Box::pin(fetch_quietly(&core, &grant)).await {
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(error = %error.message, image = %grant.path, "not fetched yet");
            }
        }
    });
}

async fn fetch_quietly(core: &Arc<Core>, grant: &Grant) -> Result<(), WireError> {
    if grant.state_at(Timestamp::now()) != GrantState::Active
        || grant.sealed.bytes > core.settings().cache_bytes_max
    {
        return Ok(());
    }
    let share = core.store.owner_share(grant.image, grant.split).await?;
    let here = core.store.has_copy(grant.sealed.hash).await?;
    if here && share.is_some() {
        return Ok(());
    }
    match core.fetches.fetch(core, grant, |_| ()).await {
        Ok(_) => {
            if !here {
                core.events.tell(Timestamp::now(), EventKind::Fetched(grant.path.clone()));
            }
            Ok(())
        }
        // The right has changed: its next update or round brings the new state.
        Err(error) if error.code == Code::Stale => Ok(()),
        Err(error) => Err(error),
    }
}
