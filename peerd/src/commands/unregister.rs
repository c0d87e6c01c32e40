//! `unregister`: leaves the directory for good.
//!
//! What always holds: nothing is put aside here before it is known that the directory has forgotten this peer. Whoever lost its
//! answer finds out by signing in.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::Services;
use crate::{
    copies::blocking,
    directory::{unexpected, unregistered},
};

/// How often it is asked over lost connections.
const ATTEMPTS_MAX: u32 = 3;

/// Leaves, puts aside what is here, and has the daemon begin anew.
///
/// # Errors
/// `offline` if the directory does not answer: then nothing is changed here; `internal` if the disk fails.
pub(super) async fn run(services: &Arc<Services>) -> Result<Outcome, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    leave(services).await?;
    services.upstream.logout().await?;
    // What is put aside does not go online by itself.
    services.store.want_online(false).await?;
    let of = Arc::clone(services);
    let kept = blocking(move || of.dirs.leave(id)).await?.map_err(|error| {
        WireError::new(Code::Internal, "cannot note that this peer has left").caused_by(error.to_string())
    })?;
    tracing::info!(peer = %id, "left the directory for good");
    services.anew.cancel();
    Ok(Outcome::Unregistered { id, name: identity.name.clone(), kept: kept.display().to_string().into() })
}

/// Has the directory forget this peer, until that is certain.
async fn leave(services: &Services) -> Result<(), WireError> {
    let mut attempts = 0;
    loop {
        match services.upstream.login(false).await {
            Ok(_) => {}
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        attempts += 1;
        match services.upstream.request(Op::Unregister).await {
            Ok(Answer::Done) => return Ok(()),
            Ok(_) => return Err(unexpected()),
            Err(error) if attempts < ATTEMPTS_MAX && matches!(error.code, Code::Offline | Code::Timeout) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the directory does not know this peer (any more).
fn is_gone(error: &WireError) -> bool {
    error.code == Code::NotFound
}
