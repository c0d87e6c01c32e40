//! `request`: asks an owner for access, or for more views.

use std::sync::Arc;

use dos_protocol::{
    ImageArg, WireError,
    control::Outcome,
    directory::{Answer, Op, RequestAccess, RequestState},
};

use crate::{Core, upstream::unexpected};

/// Asks through the directory. A pending request for the image is changed instead of a second one made.
///
/// # Errors
/// `not_found`; `invalid`; `offline`.
pub(super) async fn run(
    core: &Arc<Core>,
    image: ImageArg,
    views: u32,
    note: Option<Box<str>>,
) -> Result<Outcome, WireError> {
    match core.upstream.request(Op::Request(RequestAccess { image, views, note })).await? {
        Answer::Request(asked) => {
            // A new one begins at revision 1.
            let updated = asked.state == RequestState::Pending && asked.revision > 1;
            core.take_ask((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated })
        }
        _ => Err(unexpected()),
    }
}
