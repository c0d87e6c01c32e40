//! `resolve`: who a peer is and where.

use std::sync::Arc;

use dos_protocol::{
    Code, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Op},
    model::PeerInfo,
};

use super::Services;
use crate::directory::unexpected;

/// Asks the directory.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(services: &Arc<Services>, peer: PeerRef) -> Result<Outcome, WireError> {
    Ok(Outcome::Peer(Box::new(resolve(services, peer).await?)))
}

/// The peer that a person named.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn resolve(services: &Services, peer: PeerRef) -> Result<PeerInfo, WireError> {
    match services.upstream.request(Op::Resolve(peer)).await {
        Ok(Answer::Peer(peer)) => Ok(*peer),
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::NotFound && error.hint.is_none() => Err(error.hint("dosctl list")),
        Err(error) => Err(error),
    }
}
