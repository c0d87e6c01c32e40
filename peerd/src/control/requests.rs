//! `requests`: those that came in and went out, from the store here.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{WireError, control::Outcome, directory::Asked};

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
    let incoming = if incoming { core.store.asks(true, all).await? } else { Vec::new() };
    let outgoing = if outgoing { core.store.asks(false, all).await? } else { Vec::new() };
    Ok(Outcome::Requests { incoming, outgoing, contacts: Vec::new() })
}
