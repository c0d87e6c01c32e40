//! `deny`: the owner refuses a request.

use dos_protocol::{
    Code, WireError,
    control::{Outcome, RequestArg},
    directory::{Answer, Decide, Decision, Op},
};

use super::operation::Operation;
use crate::directory::unexpected;

/// Answers either kind of request.
///
/// # Errors
/// `not_found`; for one for access `conflict` if it was answered or withdrawn already, and `offline`; for one for contact
/// `invalid` with a reason, which nobody would get to read.
pub(super) async fn run(
    change: &Operation,
    request: RequestArg,
    reason: Option<Box<str>>,
) -> Result<Outcome, WireError> {
    match (request, reason) {
        (RequestArg::Access(number), reason) => access(change, number, reason).await,
        (RequestArg::Contact(number), None) => {
            Ok(Outcome::Contact(Box::new(change.services.requests.decide_contact(number, false).await?)))
        }
        (RequestArg::Contact(_), Some(_)) => {
            Err(WireError::new(Code::Invalid, format!("who asked under {request} is not told a reason")))
        }
    }
}

/// Answers the request at the directory.
///
/// # Errors
/// `not_found`; `conflict` if it was answered or withdrawn already; `offline`.
async fn access(change: &Operation, request: u64, reason: Option<Box<str>>) -> Result<Outcome, WireError> {
    let decide = Decide { request, decision: Decision::Deny { reason } };
    match change.request(Op::Decide(decide)).await? {
        Answer::Request(asked) => {
            change.services.requests.take((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
