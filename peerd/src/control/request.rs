//! `request`: asks an owner for access, or for more views.

use std::sync::Arc;

use dos_protocol::{
    ImageArg, WireError,
    control::Outcome,
    directory::{Answer, Ask, AskState, Op},
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
    match core.upstream.request(Op::Ask(Ask { image, views, note })).await? {
        Answer::Request(asked) => {
            // A new one begins at revision 1.
            let updated = asked.state == AskState::Pending && asked.revision > 1;
            core.take_ask((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated })
        }
        _ => Err(unexpected()),
    }
}
