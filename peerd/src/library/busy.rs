//! Names of images for which something is being done: an image is added, renamed to it, published again or signed.
//!
//! What always holds: at most one of these is done for a name at a time. A command waits for what the daemon does by itself, which
//! takes a moment, rather than being refused for it.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{Code, ImageName, WireError};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

/// As long as a command waits for a name: longer than a request to the directory takes, shorter than a person's patience.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Names that are busy.
#[derive(Debug, Clone, Default)]
pub(crate) struct BusyNames(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: Mutex<HashSet<ImageName>>,
    freed: Notify,
}

/// Keeps a name busy as long as it lives.
#[derive(Debug)]
pub(crate) struct BusyName {
    names: BusyNames,
    pub(super) name: ImageName,
}

impl BusyNames {
    /// Claims a name, unless it is busy.
    pub(crate) fn claim(&self, name: &ImageName) -> Option<BusyName> {
        let fresh = self.0.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        fresh.then(|| BusyName { names: self.clone(), name: name.clone() })
    }

    /// Claims a name once it is free.
    ///
    /// # Errors
    /// `conflict` if it stays busy.
    pub(crate) async fn claim_soon(&self, name: &ImageName) -> Result<BusyName, WireError> {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let mut freed = pin!(self.0.freed.notified());
            // Before looking, so that a name that is freed in between is not missed.
            freed.as_mut().enable();
            if let Some(busy) = self.claim(name) {
                return Ok(busy);
            }
            if timeout_at(until, freed).await.is_err() {
                let text = format!("an image named \"{name}\" is being added or changed just now");
                return Err(WireError::new(Code::Conflict, text));
            }
        }
    }
}

impl Drop for BusyName {
    fn drop(&mut self) {
        self.names.0.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        self.names.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_name_is_waited_for_and_others_are_not() {
        let names = BusyNames::default();
        let (sea, dunes) = (name("sea"), name("dunes"));
        let busy = names.claim(&sea).unwrap();
        assert!(names.claim(&sea).is_none());
        let mut waiting = Box::pin(names.claim_soon(&sea));
        assert!((&mut waiting).now_or_never().is_none());
        drop(names.claim_soon(&dunes).await.unwrap());
        assert!((&mut waiting).now_or_never().is_none());
        drop(busy);
        let next = waiting.await.unwrap();
        assert!(names.claim(&sea).is_none());
        drop(next);
        assert!(names.claim(&sea).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_stays_busy_is_refused() {
        let names = BusyNames::default();
        let _busy = names.claim(&name("sea")).unwrap();
        assert_eq!(names.claim_soon(&name("sea")).await.unwrap_err().code, Code::Conflict);
    }
}
