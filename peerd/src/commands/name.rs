//! `name`: another name for oneself.

use dos_protocol::{
    Code, PeerName, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::operation::Operation;
use crate::{
    copies::blocking,
    directory::{unexpected, unregistered},
};

/// Takes the name at the directory, then writes it down. What is not written down comes with the next session.
///
/// # Errors
/// `conflict` if another peer has it; `invalid`; `offline`.
pub(super) async fn run(change: &Operation, new: PeerName) -> Result<Outcome, WireError> {
    let services = &change.services;
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let was = identity.name.clone();
    if was.as_ref() != Some(&new) {
        new.check_new().map_err(|error| WireError::new(Code::Invalid, error.to_string()))?;
    }
    match change.request(Op::Name(new.clone())).await? {
        Answer::Done => {
            let (identities, name) = (std::sync::Arc::clone(&services.identity), new.clone());
            blocking(move || identities.rename(name)).await??;
            Ok(Outcome::Named { id, was, name: new })
        }
        _ => Err(unexpected()),
    }
}
