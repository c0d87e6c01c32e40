//! How much of the network transfers may take: how many at once, and how many bytes a second, all together.
//!
//! What always holds: a rate is kept over all transfers of its direction; connections that want more than there is get
//! equal turns, because each waits for its own piece before it reserves the next, and turns are given in the order of
//! reserving. No lock is held while waiting.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use dos_daemon::rate::{Rate, RateLimiter};
use dos_protocol::{Code, Reason, WireError};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

use crate::config::Limits;

/// A viewer waits for this time until another has been served, ...
const PLACE_TIME_MAX: Duration = Duration::from_secs(5);

/// ... and then is told to come back after this time.
const COME_BACK_AFTER: Duration = Duration::from_secs(10);

/// What the rate gives in this time may pass at once.
const BURST: Duration = Duration::from_millis(50);

/// With a rate, each turn takes this part of a second, so that many transfers all get theirs before they time out.
const TURNS_PER_SECOND: u64 = 64;

fn places(limits: Limits) -> usize {
    limits.transfers_max.clamp(1, Semaphore::MAX_PERMITS)
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Traffic {
    places: Semaphore,
    state: Mutex<State>,
    /// Bytes that were let through so far.
    passed: AtomicU64,
}

#[derive(Debug)]
struct State {
    limits: Limits,
    /// Places that are in use and, because there are to be fewer, not given away again.
    surplus: usize,
    under_way: u64,
    /// Of bytes, by the rate.
    limiter: RateLimiter,
}

/// A place for a transfer, as long as it is held.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    traffic: &'a Traffic,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.traffic.state();
        state.under_way = state.under_way.saturating_sub(1);
        if state.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

impl Traffic {
    /// Within these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        let places = Semaphore::new(places(limits));
        let state = Mutex::new(State { limits, surplus: 0, under_way: 0, limiter: RateLimiter::default() });
        Self { places, state, passed: AtomicU64::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Within other limits from now on. Transfers that are under way go on, at the new rate.
    pub(crate) fn set(&self, limits: Limits) {
        let mut state = self.state();
        let (before, now) = (places(state.limits), places(limits));
        if now > before {
            let kept = (now - before).min(state.surplus);
            state.surplus -= kept;
            self.places.add_permits(now - before - kept);
        } else {
            let idle = self.places.forget_permits(before - now);
            state.surplus += before - now - idle;
        }
        state.limits = limits;
        // What was reserved at another rate keeps the next ones waiting for a burst's time at most.
        state.limiter.waive(BURST * 2, Instant::now().into_std());
    }

    /// Transfers that have a place now.
    pub(crate) fn under_way(&self) -> u64 {
        self.state().under_way
    }

    /// Bytes that were let through so far.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// A place for a transfer, when there is one.
    ///
    /// # Errors
    /// [`Code::Internal`] while the program stops.
    pub(crate) async fn place(&self) -> Result<Place<'_>, WireError> {
        let stopping = |_| WireError::new(Code::Internal, "the daemon is stopping");
        let permit = self.places.acquire().await.map_err(stopping)?;
        self.state().under_way += 1;
        Ok(Place { traffic: self, permit: Some(permit) })
    }

    /// A place for somebody who should not wait for long.
    ///
    /// # Errors
    /// [`Code::Denied`] because of a limit, with the time after which to come back.
    pub(crate) async fn place_soon(&self) -> Result<Place<'_>, WireError> {
        let busy = || {
            WireError::new(Code::Denied, "the owner serves as many as it can just now")
                .because(Reason::Limit)
                .retry_after(COME_BACK_AFTER)
        };
        timeout(PLACE_TIME_MAX, self.place()).await.map_err(|_| busy())?
    }

    /// Of `wanted` bytes, how many to move in one turn.
    pub(crate) fn turn(&self, wanted: usize) -> usize {
        let Some(rate) = self.state().limits.rate else { return wanted };
        usize::try_from(rate.get() / TURNS_PER_SECOND).map_or(wanted, |most| wanted.min(most.max(1)))
    }

    /// Waits until these bytes may pass.
    pub(crate) async fn pass(&self, bytes: u64) {
        self.passed.fetch_add(bytes, Ordering::Relaxed);
        let turn = {
            let mut state = self.state();
            let Some(rate) = state.limits.rate else { return };
            let rate = Rate::per_second(rate.get()).with_burst(BURST);
            Instant::from_std(state.limiter.reserve(bytes, rate, Instant::now().into_std()))
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU64, sync::Arc};

    use super::*;

    fn traffic(transfers_max: usize, rate: u64) -> Arc<Traffic> {
        Arc::new(Traffic::new(Limits { transfers_max, rate: NonZeroU64::new(rate) }))
    }

    async fn transfer(traffic: Arc<Traffic>, mut bytes: u64) -> Duration {
        let begun = Instant::now();
        while bytes > 0 {
            let turn = u64::try_from(traffic.turn(128 << 10)).unwrap().min(bytes);
            traffic.pass(turn).await;
            bytes -= turn;
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_all_transfers_together() {
        let traffic = traffic(16, 1_000_000);
        let begun = Instant::now();
        let transfers: Vec<_> =
            (0..5).map(|_| tokio::spawn(transfer(Arc::clone(&traffic), 2_000_000))).collect();
        for transfer in transfers {
            transfer.await.unwrap();
        }
        let time = begun.elapsed();
        assert!(time > Duration::from_millis(9900) && time < Duration::from_millis(10_500), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_comes_later_gets_the_same_share() {
        let traffic = traffic(16, 1_000_000);
        let first = tokio::spawn(transfer(Arc::clone(&traffic), 4_000_000));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let second = tokio::spawn(transfer(Arc::clone(&traffic), 1_000_000));
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(second > Duration::from_millis(1900) && second < Duration::from_millis(2200), "{second:?}");
        assert!(first > Duration::from_millis(4900) && first < Duration::from_millis(5200), "{first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let traffic = Arc::new(Traffic::new(Limits::default()));
        assert_eq!(transfer(traffic, 1 << 32).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_is_told_when_to_come_back() {
        let traffic = traffic(1, 0);
        let place = traffic.place_soon().await.unwrap();
        let error = traffic.place_soon().await.unwrap_err();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
        assert_eq!(error.retry_after_ms, Some(10_000));
        drop(place);
        drop(traffic.place_soon().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn other_limits_hold_at_once_and_those_under_way_keep_their_places() {
        let traffic = traffic(3, 0);
        let limits = |transfers_max| Limits { transfers_max, rate: NonZeroU64::new(1_000_000) };
        let mut held = vec![traffic.place_soon().await.unwrap(), traffic.place_soon().await.unwrap()];
        traffic.set(limits(1));
        assert!(traffic.place_soon().await.is_err());
        held.pop();
        assert!(traffic.place_soon().await.is_err(), "one is under way, and there is one place");
        traffic.set(limits(2));
        held.push(traffic.place_soon().await.unwrap());
        assert!(traffic.place_soon().await.is_err());
        traffic.set(limits(1));
        traffic.set(limits(2));
        held.clear();
        held.extend([traffic.place_soon().await.unwrap(), traffic.place_soon().await.unwrap()]);
        assert!(traffic.place_soon().await.is_err());
        assert_eq!(traffic.under_way(), 2);
        let time = transfer(Arc::clone(&traffic), 1_000_000).await;
        assert!(time > Duration::from_millis(900), "{time:?}");
        assert_eq!(traffic.passed(), 1_000_000);
    }
}
