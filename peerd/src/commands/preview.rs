//! `preview`: the small picture of an image; free.

use std::sync::Arc;

use dos_protocol::{
    ImageArg, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::Services;
use crate::directory::unexpected;

/// Asks the directory.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(services: &Arc<Services>, image: ImageArg) -> Result<Outcome, WireError> {
    match services.upstream.request(Op::Preview(image)).await? {
        Answer::Preview(of) => Ok(Outcome::Preview { path: of.path, preview: of.preview }),
        _ => Err(unexpected()),
    }
}
