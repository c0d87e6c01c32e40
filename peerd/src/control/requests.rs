//! `requests`: those that came in and went out, from the store here.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{
    Code, WireError,
    control::{ContactRequest, Outcome},
    directory::Request,
};

use crate::{Core, upstream::unregistered};

impl Core {
    /// Takes over a request as the directory told it.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn take_ask(&self, asked: Request) -> Result<(), WireError> {
        self.store.take_request(asked).await?;
        self.recount_requests().await
    }

    /// Counts anew how many requests of others wait for an answer, after a change that did not come as an update.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn recount_requests(&self) -> Result<(), WireError> {
        let kept = Arc::clone(&self.pending_requests);
        Ok(self.store.count_pending(move |count| kept.store(count, Ordering::Relaxed)).await?)
    }

    /// Decides whether a peer that asked may send direct messages. That concerns this daemon alone.
    ///
    /// # Errors
    /// `not_found` if nobody asked under this number; if the store fails.
    pub(super) async fn decide_contact(
        &self,
        number: u64,
        approve: bool,
    ) -> Result<ContactRequest, WireError> {
        let contact = self.store.decide_contact(number, approve).await?;
        self.recount_requests().await?;
        contact.ok_or_else(|| {
            WireError::new(Code::NotFound, format!("no request c{number} came in")).hint("dosctl requests")
        })
    }
}

/// Reads the store.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(
    core: &Arc<Core>,
    (incoming, outgoing): (bool, bool),
    all: bool,
) -> Result<Outcome, WireError> {
    core.identity.registered().ok_or_else(unregistered)?;
    let mut sides = [Vec::new(), Vec::new()];
    for (wanted, side) in [(incoming, 0), (outgoing, 1)] {
        let mut after = 0;
        while wanted {
            let page = core.store.requests((side == 0, all), after).await?;
            let Some(last) = page.last() else { break };
            after = last.request;
            sides[side].extend(page);
        }
    }
    let (mut contacts, mut after) = (Vec::new(), 0);
    while incoming {
        let page = core.store.contacts(all, after).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        contacts.extend(page);
    }
    let [incoming, outgoing] = sides;
    Ok(Outcome::Requests { incoming, outgoing, contacts })
}
