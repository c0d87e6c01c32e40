//! Gives peers the images that come into albums, by the rules of their owner.
//!
//! What always holds: each grant is given under an operation ID that was written down with the image's coming into the album, so
//! that it is given once, whatever is lost; what was in doubt for longer than the directory remembers such IDs is given only if
//! there is no grant. One that cannot be given hinders no other.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    directory::ViewsChange,
    limits::{PAGE_MAX, REQUESTS_IN_FLIGHT_MAX},
};
use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::{
    directory::unregistered,
    giving::{self, Giver, Promised},
    library::Library,
    rules::retry::may_come_later,
    store::{Due, Settled},
};

/// Gives what is due.
#[derive(Debug)]
pub(crate) struct Albums {
    library: Arc<Library>,
    /// One round at a time.
    applying: Mutex<()>,
    due: Notify,
}

impl Albums {
    pub(crate) fn new(library: Arc<Library>) -> Self {
        Self { library, applying: Mutex::default(), due: Notify::new() }
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
                    Err(error) if may_come_later(&error) => passing = Some(error),
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
        let Library { cache, identity, directory, trust, .. } = &*self.library;
        let (_, identity) = identity.registered().ok_or_else(unregistered)?;
        // Removed meanwhile: there is nothing to give.
        if cache.store.own_image_no(due.image).await?.is_none() {
            return Ok(());
        }
        let giver = Giver { cache, directory: &**directory, trust, identity: &identity };
        let promised = Promised {
            image: due.image,
            viewer: due.viewer,
            views: ViewsChange::Set(due.terms.views),
            lasts: due.terms.expires,
            allow_offline: Some(due.terms.allow_offline),
            operation: due.operation,
            begun_at: due.begun_at,
            in_doubt: due.resumed,
        };
        // It is begun with the others that are due.
        giving::give(giver, promised, async { Ok(()) }).await
    }
}
