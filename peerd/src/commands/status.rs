//! `status`: how things stand, from memory alone.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::{Outcome, Status},
    model::Address,
};

use super::Services;
use crate::rules::strangers::Strangers;

/// How things stand.
///
/// # Errors
/// None; the type is that of every command.
#[expect(clippy::unnecessary_wraps, reason = "every command has the same shape")]
pub(super) fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let identity = services.identity.any();
    let session = services.upstream.status().borrow().clone();
    let stored = services.feed.stored_now();
    let known = identity.as_ref().filter(|identity| identity.id.is_some());
    Ok(Outcome::Status(Box::new(Status {
        profile: services.config.profile.clone(),
        state: session.state,
        id: known.and_then(|identity| identity.id),
        name: known.and_then(|identity| identity.name.clone()),
        server: known.map(|identity| identity.server.clone()),
        listen: Address(services.listen),
        address: session.address,
        since: session.since,
        trouble: session.trouble,
        updates: session.latest.0.saturating_sub(stored.0),
        requests: services.feed.requests(),
        messages: services.feed.mail().borrow().unread,
        unknown_updates: services.store.unknown_updates(),
        key_changes: services.trust.changes(),
        refused_messages: services.feed.refused(),
        offers: match services.cache.strangers() {
            Strangers::Offer => services.store.offers().count(),
            Strangers::Refuse => 0,
        },
        news: services.store.unseen(),
        version: env!("CARGO_PKG_VERSION").into(),
        state_dir: services.dirs.root().to_owned(),
        password_again: services.upstream.password_again(),
        notes: services.feed.notes(),
    })))
}
