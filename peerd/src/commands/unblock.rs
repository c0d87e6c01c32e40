//! `unblock`: takes back a block.

use dos_protocol::{
    Code, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::{operation::Operation, resolve::resolve};
use crate::directory::unexpected;

/// Takes it back at the directory and here.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(change: &Operation, peer: PeerRef) -> Result<Outcome, WireError> {
    let services = &change.services;
    let peer = resolve(services, peer).await?;
    match change.request(Op::Unblock(PeerRef::Id(peer.id))).await {
        Ok(Answer::Done) => {}
        Ok(_) => return Err(unexpected()),
        Err(error) => {
            // Not blocked there, so not here either.
            if error.code == Code::NotFound {
                services.store.unblock(peer.id).await?;
                return Err(error.hint("dosctl blocks"));
            }
            return Err(error);
        }
    }
    services.store.unblock(peer.id).await?;
    // What it has granted as a contact may be fetched again.
    services.cache.look();
    Ok(Outcome::Peer(Box::new(peer)))
}
