//! `status`: how things stand, from memory alone.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{
    WireError,
    control::{Outcome, Status},
    model::Address,
};

use crate::Core;

/// How things stand.
///
/// # Errors
/// None; the type is that of every command.
#[expect(clippy::unnecessary_wraps, reason = "every command has the same shape")]
pub(super) fn run(core: &Arc<Core>) -> Result<Outcome, WireError> {
    let identity = core.identity.any();
    let session = core.upstream.status().borrow().clone();
    let stored = *core.stored.borrow();
    let known = identity.as_ref().filter(|identity| identity.id.is_some());
    Ok(Outcome::Status(Box::new(Status {
        profile: core.config.profile.clone(),
        state: session.state,
        id: known.and_then(|identity| identity.id),
        name: known.and_then(|identity| identity.name.clone()),
        server: known.map(|identity| identity.server.clone()),
        listen: Address(core.listen),
        address: session.address,
        since: session.since,
        trouble: session.trouble,
        updates: session.latest.0.saturating_sub(stored.0),
        requests: core.pending_requests.load(Ordering::Relaxed),
        messages: core.mail.borrow().unread,
        unknown_updates: core.store.unknown_updates(),
        version: env!("CARGO_PKG_VERSION").into(),
        state_dir: core.dirs.root().to_owned(),
    })))
}
