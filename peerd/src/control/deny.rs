//! `deny`: the owner refuses a request.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::Outcome,
    directory::{Answer, Decide, Decision, Op},
};

use crate::{Core, upstream::unexpected};

/// Answers the request at the directory.
///
/// # Errors
/// `not_found`; `conflict` if it was answered or withdrawn already; `offline`.
pub(super) async fn run(
    core: &Arc<Core>,
    request: u64,
    reason: Option<Box<str>>,
) -> Result<Outcome, WireError> {
    let decide = Decide { request, decision: Decision::Deny { reason } };
    match core.upstream.request(Op::Decide(decide)).await? {
        Answer::Request(asked) => {
            core.take_ask((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
