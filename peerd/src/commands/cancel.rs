//! `cancel`: withdraws one's own pending request.

use dos_protocol::{
    WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::operation::Operation;
use crate::directory::unexpected;

/// Withdraws it at the directory.
///
/// # Errors
/// `not_found`; `conflict` if it was answered already; `offline`.
pub(super) async fn run(change: &Operation, request: u64) -> Result<Outcome, WireError> {
    match change.request(Op::Cancel(request)).await? {
        Answer::Request(asked) => {
            change.services.requests.take((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
