//! The sign of life that the service manager expects (`WatchdogSec=` in systemd.service(5)): given only when the work that
//! the service does for others gets done, so that a service that merely exists is restarted.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::notify;

/// How often the service manager must hear from this process; `None` if it does not want to.
#[must_use]
pub fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
}

/// Gives signs of life as long as `works` says yes, three in each `patience`. Never returns; while `works` takes its time or
/// says no, there is none.
pub async fn feed<W: Future<Output = bool>>(patience: Duration, works: impl FnMut() -> W) {
    feed_by(patience, works, || notify::tell(&[NotifyState::Watchdog])).await;
}

async fn feed_by<W: Future<Output = bool>>(
    patience: Duration,
    mut works: impl FnMut() -> W,
    mut sign: impl FnMut(),
) {
    let mut ticks = interval((patience / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if works().await {
            sign();
        } else {
            tracing::error!("the service does not work; the service manager is left to find out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn signs_come_well_within_the_patience() {
        let signs = Cell::new(0);
        let feeding = feed_by(PATIENCE, || ready(true), || signs.set(signs.get() + 1));
        assert!(timeout(Duration::from_secs(299), feeding).await.is_err());
        assert_eq!(signs.get(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_sign_while_the_work_hangs_or_fails() {
        let signs = Cell::new(0);
        let asked = Cell::new(0);
        let works = || {
            asked.set(asked.get() + 1);
            let time = asked.get();
            async move { if time < 3 { time == 1 } else { pending().await } }
        };
        let feeding = feed_by(PATIENCE, works, || signs.set(signs.get() + 1));
        assert!(timeout(Duration::from_secs(299), feeding).await.is_err());
        assert_eq!((asked.get(), signs.get()), (3, 1));
    }
}
