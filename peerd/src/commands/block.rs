//! `block`: takes nothing more from a peer.

use dos_protocol::{
    Code, PeerRef, Timestamp, WireError,
    control::Outcome,
    directory::{Answer, Block, Op},
};

use super::operation::Operation;
use crate::directory::{unexpected, unregistered};

/// Has the directory note it, and notes it here for what does not come through the directory.
///
/// # Errors
/// `not_found`; `invalid` for oneself; `offline`.
pub(super) async fn run(change: &Operation, peer: PeerRef) -> Result<Outcome, WireError> {
    let services = &change.services;
    services.identity.registered().ok_or_else(unregistered)?;
    let mut blocked = match change.request(Op::Block(peer)).await {
        Ok(Answer::Blocked(blocked)) => blocked,
        Ok(_) => return Err(unexpected()),
        Err(error) if error.code == Code::NotFound && error.hint.is_none() => {
            return Err(error.hint("dosctl list"));
        }
        Err(error) => return Err(error),
    };
    let block = Block { peer: blocked.peer, name: blocked.name.clone(), since: Timestamp::now() };
    let asked = services.store.block(block).await?;
    services.requests.recount().await?;
    // The question whether it may send direct messages is a request too, which only this daemon knows.
    blocked.requests_purged = blocked.requests_purged.saturating_add(asked.into());
    Ok(Outcome::Blocked(blocked))
}
