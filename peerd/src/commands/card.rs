//! `card`: one's own key, to be given to others.

use std::sync::Arc;

use dos_protocol::{Card, WireError, control::Outcome};

use super::Services;
use crate::directory::unregistered;

/// One's own card.
///
/// # Errors
/// `offline` if not registered.
pub(super) fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    own(services).map(Outcome::Card)
}

/// One's own card.
///
/// # Errors
/// `offline` if not registered.
pub(super) fn own(services: &Services) -> Result<Card, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let key = identity.secret.public().map_err(crate::identity::IdentityError::from)?;
    Ok(Card { id, key, name: identity.name.clone() })
}
