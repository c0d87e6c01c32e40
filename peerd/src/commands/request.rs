//! `request`: asks an owner for access, or for more views.

use dos_protocol::{
    WireError,
    control::Outcome,
    directory::{Answer, Op, RequestAccess, RequestState},
};

use super::operation::Operation;
use crate::directory::unexpected;

/// Asks through the directory. A pending request for the image is changed instead of a second one made.
///
/// # Errors
/// `not_found`; `invalid`; `offline`.
pub(super) async fn run(change: &Operation, access: RequestAccess) -> Result<Outcome, WireError> {
    match change.request(Op::Request(access)).await? {
        Answer::Request(asked) => {
            // A new one begins at revision 1.
            let updated = asked.state == RequestState::Pending && asked.revision > 1;
            change.services.requests.take((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated })
        }
        _ => Err(unexpected()),
    }
}
