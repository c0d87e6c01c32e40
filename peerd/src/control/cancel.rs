//! `cancel`: withdraws one's own pending request.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use crate::{Core, upstream::unexpected};

/// Withdraws it at the directory.
///
/// # Errors
/// `not_found`; `conflict` if it was answered already; `offline`.
pub(super) async fn run(core: &Arc<Core>, request: u64) -> Result<Outcome, WireError> {
    match core.upstream.request(Op::Cancel(request)).await? {
        Answer::Request(asked) => {
            core.take_ask((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
