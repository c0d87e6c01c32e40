//! What peerd does by itself: learning whom it has blocked, finishing what a lost connection left open, telling the directory which
//! views are over ([`closing`]), carrying out invitations ([`inviting`]), following contacts ([`following`]), telling the desktop ([`notifying`]), and fetching the copies that it may need ([`fetching`]).
//!
//! What always holds: a chore that fails is tried again after the next sign-in or some minutes later, and disturbs
//! no one. Nothing here spends a view, except to finish a checkout that was begun.

pub(crate) mod albums;
pub(crate) mod closing;
pub(crate) mod fetching;
pub(crate) mod following;
pub(crate) mod inviting;
pub(crate) mod notifying;
mod turns;

use std::{sync::Arc, time::Duration};

use dos_protocol::{Code, WireError, limits::PAGE_MAX};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::albums::Albums;
use crate::{
    blocks, directory::Directory, ledger, ledger::Ledger, library, library::Library, random::jitter,
    reconcile, reconcile::Reconciling, relearn, relearn::Relearning, trust::Trust, upstream::Upstream,
};

/// Between two rounds, and up to half as much again.
const ROUND_AFTER: Duration = Duration::from_secs(240);

/// What a restored directory could not confirm is asserted again after this time, then after twice as long, and so on.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What the rounds work with.
#[derive(Debug)]
pub(crate) struct Chores {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) library: Arc<Library>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) relearning: Arc<Relearning>,
    pub(crate) reconciling: Reconciling,
    pub(crate) albums: Arc<Albums>,
}

/// Runs until `stop`: a round after each sign-in, and one every few minutes.
pub(crate) async fn run(chores: Chores, stop: CancellationToken) {
    let mut status = chores.upstream.status();
    // The session in which the list of blocks was taken over: it may have changed between two of them.
    let mut blocks_known = None;
    let mut next_round = Instant::now() + spread(ROUND_AFTER);
    let mut last_session = None;
    let mut again = Again::default();
    loop {
        let session = status.borrow_and_update().online();
        if session.is_some() && (session != last_session || again.is_due()) {
            if session != last_session {
                again = Again::default();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = reconcile(&chores, &mut again) => {}
            }
        }
        if session.is_some() && (session != last_session || next_round <= Instant::now()) {
            last_session = session;
            next_round = Instant::now() + spread(ROUND_AFTER);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                known = round(&chores, blocks_known == session) => if known { blocks_known = session },
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
            () = sleep_until(again.earlier(next_round)), if session.is_some() => {}
            () = chores.albums.looked() => tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = apply(&chores.albums) => {}
            },
        }
    }
}

/// When what the directory could not confirm is asserted again: soon, and then later and later, as others come back.
#[derive(Debug, Default)]
struct Again {
    rounds: u32,
    at: Option<Instant>,
}

impl Again {
    fn is_due(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }

    fn earlier(&self, other: Instant) -> Instant {
        self.at.map_or(other, |at| at.min(other))
    }

    fn later(&mut self) {
        let pause = AGAIN_AFTER.saturating_mul(1 << self.rounds.min(8)).min(ROUND_AFTER);
        self.rounds = self.rounds.saturating_add(1);
        self.at = Some(Instant::now() + spread(pause));
    }
}

/// Tells a directory that was restored what is known here. Changes wait for the first round.
async fn reconcile(chores: &Chores, again: &mut Again) {
    let outcome = Box::pin(reconcile::run(&chores.reconciling)).await;
    chores.upstream.reconciled();
    let rest = async {
        if let Some(refused) = outcome? {
            reconcile::block_again(&chores.reconciling).await?;
            reconcile::send_again(&chores.reconciling).await?;
            reconcile::report(&chores.reconciling, refused).await?;
        }
        Ok::<bool, WireError>(chores.reconciling.cache.store.is_asserting().await?)
    };
    match Box::pin(rest).await {
        Ok(false) => again.at = None,
        Ok(true) => again.later(),
        Err(error) => {
            tracing::debug!(error = %error.message, "the directory does not know yet what is known here");
            again.later();
        }
    }
}

/// Gives what is due by the rules of albums; what cannot be given now comes with a later round.
async fn apply(albums: &Albums) {
    if let Err(error) = Box::pin(albums.apply()).await {
        tracing::debug!(error = %error.message, "what albums owe is given later");
    }
}

fn spread(least: Duration) -> Duration {
    least + least.mul_f64(f64::from(jitter()) / f64::from(u32::MAX) / 2.0)
}

/// Finishes what was left open. Returns whether the list of blocks is the directory's.
async fn round(chores: &Chores, mut blocks_known: bool) -> bool {
    if let Err(error) = chores.library.cache.store.keep_time().await {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot keep the directory's time");
    }
    if let Err(error) = Box::pin(relearn::run(&chores.relearning)).await {
        tracing::debug!(error = %error.message, "what is lost here is not relearned yet");
    }
    let work = async {
        if !blocks_known {
            let directory: &dyn Directory = &*chores.upstream;
            blocks::refresh(&chores.library.cache.store, directory).await?;
            chores.library.cache.look();
            blocks_known = true;
        }
        library::finish_publications(&chores.library).await?;
        pin_known(&chores.library.trust).await?;
        library::sign_unsigned(&chores.library).await?;
        apply(&chores.albums).await;
        ledger::settle(&chores.ledger).await
    };
    if let Err(error) = Box::pin(work).await {
        tracing::debug!(error = %error.message, "what was left open stays so");
    }
    blocks_known
}

/// Pins the keys of peers with which there was a relation before keys were pinned.
async fn pin_known(trust: &Trust) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let peers = trust.store.unpinned(after, PAGE_MAX).await?;
        let Some(last) = peers.last() else { return Ok(()) };
        after = Some(*last);
        for peer in peers {
            match trust.contact(peer).await {
                Ok(_) => {}
                Err(error) if matches!(error.code, Code::Offline | Code::Timeout) => return Err(error),
                Err(error) => tracing::debug!(%peer, error = %error.message, "no key is pinned"),
            }
        }
    }
}
