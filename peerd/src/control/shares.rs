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
    let (mut given_grants, mut after) = (Vec::new(), None);
    if given {
        loop {
            let page = core.store.given(me, after).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.path.name.clone(), last.viewer, last.image));
            given_grants.extend(page);
        }
    }
    let (mut received_grants, mut after) = (Vec::new(), None);
    if received {
        loop {
            let page = core.store.received(me, after).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.path.owner, last.path.name.clone(), last.image));
            received_grants.extend(page);
        }
    }
    Ok(Outcome::Grants { given: given_grants, received: received_grants })
}
