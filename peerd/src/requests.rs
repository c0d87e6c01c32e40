//! Requests for access and for contact, as they stand here.

use std::sync::Arc;

use dos_protocol::{Code, WireError, control::ContactRequest, directory::Request};

use crate::{feed::Feed, store::Store};

/// The requests in the store, and their number in the feed.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
}

impl Requests {
    /// Takes over a request as the directory answered it.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn take(&self, request: Request) -> Result<(), WireError> {
        self.store.take_request(request).await?;
        self.recount().await
    }

    /// Counts anew how many requests of others wait for an answer, after a change that did not come as an update.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn recount(&self) -> Result<(), WireError> {
        let feed = Arc::clone(&self.feed);
        Ok(self.store.count_pending(move |count| feed.set_requests(count)).await?)
    }

    /// Decides whether a peer may send direct messages. That concerns this daemon alone.
    ///
    /// # Errors
    /// `not_found` if there is no such request; if the store fails.
    pub(crate) async fn decide_contact(
        &self,
        number: u64,
        approve: bool,
    ) -> Result<ContactRequest, WireError> {
        let contact = self.store.decide_contact(number, approve).await?;
        self.recount().await?;
        contact.ok_or_else(|| {
            WireError::new(Code::NotFound, format!("no request c{number} came in")).hint("dosctl requests")
        })
    }
}
