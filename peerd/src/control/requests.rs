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
    let contacts = if incoming { contacts(core, all).await? } else { Vec::new() };
    let incoming = if incoming { side(core, (true, all)).await? } else { Vec::new() };
    let outgoing = if outgoing { side(core, (false, all)).await? } else { Vec::new() };
    Ok(Outcome::Requests { incoming, outgoing, contacts })
}

async fn side(core: &Core, which: (bool, bool)) -> Result<Vec<Request>, WireError> {
    let (mut requests, mut after) = (Vec::new(), 0);
    loop {
        let page = core.store.requests(which, after).await?;
        let Some(last) = page.last() else { return Ok(requests) };
        after = last.request;
        requests.extend(page);
    }
}

async fn contacts(core: &Core, all: bool) -> Result<Vec<ContactRequest>, WireError> {
    let (mut contacts, mut after) = (Vec::new(), 0);
    loop {
        let page = core.store.contacts(all, after).await?;
        let Some(last) = page.last() else { return Ok(contacts) };
        after = last.number;
        contacts.extend(page);
    }
}
