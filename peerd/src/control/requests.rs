//! `requests`: those that came in and went out, from the store here.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{
    Code, WireError,
    control::{ContactAsk, Outcome},
    directory::Asked,
};

use crate::{Core, upstream::unregistered};

impl Core {
    /// Takes over a request as the directory told it.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn take_ask(&self, asked: Asked) -> Result<(), WireError> {
        let waiting = self.store.take_ask(asked).await?;
        self.pending_requests.store(waiting, Ordering::Relaxed);
        Ok(())
    }

    /// Decides whether a peer that asked may send direct messages. That concerns this daemon alone.
    ///
    /// # Errors
    /// `not_found` if nobody asked under this number; if the store fails.
    pub(super) async fn decide_contact(&self, number: u64, approve: bool) -> Result<ContactAsk, WireError> {
        let (contact, waiting) = self.store.decide_contact(number, approve).await?;
        self.pending_requests.store(waiting, Ordering::Relaxed);
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
    let contacts = if incoming { core.store.contacts(all).await? } else { Vec::new() };
    let incoming = if incoming { core.store.asks(true, all).await? } else { Vec::new() };
    let outgoing = if outgoing { core.store.asks(false, all).await? } else { Vec::new() };
    Ok(Outcome::Requests { incoming, outgoing, contacts })
}
