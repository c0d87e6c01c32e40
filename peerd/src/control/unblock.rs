//! `unblock`: takes back a block.

use std::sync::Arc;

use dos_protocol::{
    Code, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::resolve::resolve;
use crate::{Core, upstream::unexpected};

/// Takes it back at the directory and here.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(core: &Arc<Core>, peer: PeerRef) -> Result<Outcome, WireError> {
    let peer = resolve(core, peer).await?;
    match core.upstream.request_again(Op::Unblock(PeerRef::Id(peer.id))).await {
        Ok(Answer::Done) => {}
        Ok(_) => return Err(unexpected()),
        Err(error) => {
            // Not blocked there, so not here either.
            if error.code == Code::NotFound {
                core.store.unblock(peer.id).await?;
                return Err(error.hint("dosctl blocks"));
            }
            return Err(error);
        }
    }
    core.store.unblock(peer.id).await?;
    Ok(Outcome::Peer(Box::new(peer)))
}
