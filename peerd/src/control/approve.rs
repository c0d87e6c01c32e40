//! `approve`: the owner gives a right, or more views, on a request.

use std::sync::Arc;

use dos_protocol::{
    Code, WireError,
    control::Outcome,
    directory::{Answer, Decide, Decision, Op},
};

use crate::{
    Core,
    keys::ImageKeys,
    library::elsewhere,
    upstream::{unexpected, unregistered},
};

/// Answers the request at the directory. The right itself comes as an update.
///
/// # Errors
/// `not_found`; `conflict` if it was answered or withdrawn already; `offline`.
pub(super) async fn run(core: &Arc<Core>, request: u64, views: Option<u32>) -> Result<Outcome, WireError> {
    let (me, identity) = core.identity.registered().ok_or_else(unregistered)?;
    core.upstream.ready().await?;
    let unknown =
        || WireError::new(Code::NotFound, format!("no request {request} came in")).hint("dosctl requests");
    let asked = core.store.ask(request).await?.filter(|asked| asked.path.owner == me).ok_or_else(unknown)?;
    let image = core.store.own_image_no(asked.image).await?.ok_or_else(|| elsewhere(&asked.path.name))?;
    let key = ImageKeys::open(&identity.vault, &image)?.key_share(asked.image, asked.from)?;
    let decide = Decide { request, decision: Decision::Approve { views, key } };
    match core.upstream.request(Op::Decide(decide)).await? {
        Answer::Request(asked) => {
            core.take_ask((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
