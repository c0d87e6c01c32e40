//! `shares`: the rights that one has given or received, from the ledger here.

use std::sync::Arc;

use dos_protocol::{WireError, control::Outcome};

use crate::{Core, upstream::unregistered};

/// Reads the ledger.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(core: &Arc<Core>, given: bool, received: bool) -> Result<Outcome, WireError> {
    let (me, _) = core.identity.registered().ok_or_else(unregistered)?;
    let given = if given { core.store.given(me).await? } else { Vec::new() };
    let received = if received { core.store.received(me).await? } else { Vec::new() };
    Ok(Outcome::Grants { given, received })
}
