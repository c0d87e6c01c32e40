//! Gives peers the images that come into albums, by the rules of their owner.
//!
//! What always holds: each grant is given under an operation ID that was written down with the image's coming into the album, so
//! that it is given once, whatever is lost; what was in doubt for longer than the directory remembers such IDs is given only if
//! there is no grant. One that cannot be given hinders no other.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    Code, PeerRef, Reason, WireError,
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
    limits::{OPERATION_REMEMBERED, PAGE_MAX, REQUESTS_IN_FLIGHT_MAX},
    model::Grant,
};
use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::{
    directory::{unexpected, unregistered},
    keys::ImageKeys,
    library::Library,
    store::{Due, Settled},
    upstream::Upstream,
};

/// For this time the directory surely knows an operation ID: an hour less than it does, for clocks that differ.
const SURELY_REMEMBERED: Duration = OPERATION_REMEMBERED.saturating_sub(Duration::from_secs(3600));

/// Gives what is due.
#[derive(Debug)]
pub(crate) struct Albums {
    upstream: Arc<Upstream>,
    library: Arc<Library>,
    /// One round at a time.
    applying: Mutex<()>,
    due: Notify,
}

impl Albums {
    pub(crate) fn new(upstream: Arc<Upstream>, library: Arc<Library>) -> Self {
        Self { upstream, library, applying: Mutex::default(), due: Notify::new() }
    }

    /// Something may be due.
    pub(crate) fn look(&self) {
        self.due.notify_one();
    }

    /// Waits until something may be due.
    pub(crate) async fn looked(&self) {
        self.due.notified().await;
    }

    /// While this is held nothing is given.
    pub(crate) async fn still(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().await
    }

    /// Gives everything that is due.
    ///
    /// # Errors
    /// If the directory cannot be asked; the rest is given later.
    pub(crate) async fn apply(&self) -> Result<(), WireError> {
        let _applying = self.applying.lock().await;
        let store = &self.library.cache.store;
        loop {
            let due = store.begin_due(PAGE_MAX).await?;
            if due.is_empty() {
                return Ok(());
            }
            let work: Vec<_> = due.into_iter().map(|one| self.settle(one)).collect();
            let outcomes: Vec<_> = stream::iter(work).buffered(REQUESTS_IN_FLIGHT_MAX).collect().await;
            let (mut settled, mut passing) = (Vec::new(), None);
            for (due, outcome) in outcomes {
                match outcome {
                    Ok(()) => settled.push((due.rule, due.image, Settled::Given)),
                    Err(error) if is_passing(&error) => passing = Some(error),
                    Err(error) => {
                        tracing::warn!(viewer = %due.viewer, image = due.image.0, error = %error.message, "an image of an album is not given");
                        settled.push((due.rule, due.image, Settled::Refused(error.message)));
                    }
                }
            }
            store.settle_due(settled).await?;
            if let Some(error) = passing {
                return Err(error);
            }
        }
    }

    async fn settle(&self, due: Due) -> (Due, Result<(), WireError>) {
        let outcome = Box::pin(self.give(&due)).await;
        (due, outcome)
    }

    async fn give(&self, due: &Due) -> Result<(), WireError> {
        let cache = &self.library.cache;
        let (_, identity) = self.library.identity.registered().ok_or_else(unregistered)?;
        // Removed meanwhile: there is nothing to give.
        let Some(image) = cache.store.own_image_no(due.image).await? else { return Ok(()) };
        if due.resumed && due.begun_at < cache.store.clock().at_least().before(SURELY_REMEMBERED) {
            match self.upstream.request(Op::Grant { image: due.image, viewer: due.viewer }).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code == Code::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let held = self.library.trust.contact(due.viewer).await?.key;
        let key = ImageKeys::open(&identity.vault, &image)?.key_share(due.image, (due.viewer, &held))?;
        let expires = due.terms.expires;
        let share = Share {
            image: due.image,
            viewer: PeerRef::Id(due.viewer),
            views: ViewsChange::Set(due.terms.views),
            expiry: expires.map_or(ExpiryChange::Keep, |time| ExpiryChange::At(due.begun_at.after(time))),
            key: Some(key),
            lasts_ms: expires.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            allow_offline: Some(due.terms.allow_offline),
        };
        match self.upstream.change(Op::Share(share), due.operation).await.map_err(|failed| failed.error)? {
            Answer::Grant(grant) => cache.take_grant(Grant { offer: false, ..*grant }).await,
            _ => Err(unexpected()),
        }
    }
}

/// Whether it may be given later.
fn is_passing(error: &WireError) -> bool {
    matches!(error.code, Code::Offline | Code::Timeout | Code::Internal)
        || error.reason == Some(Reason::Limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        for code in [Code::Offline, Code::Timeout, Code::Internal] {
            assert!(is_passing(&WireError::new(code, "x")), "{code}");
        }
        assert!(is_passing(&WireError::new(Code::Denied, "x").because(Reason::Limit)));
        for code in [Code::NotFound, Code::Denied, Code::Invalid] {
            assert!(!is_passing(&WireError::new(code, "x")), "{code}");
        }
    }
}
