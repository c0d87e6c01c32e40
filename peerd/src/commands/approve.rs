//! `approve`: the owner gives a grant, or more views, on a request.

use dos_protocol::{
    Code, WireError,
    control::{Outcome, RequestArg},
    directory::{Answer, Decide, Decision, Op},
};

use super::operation::Operation;
use crate::{
    directory::{unexpected, unregistered},
    keys::ImageKeys,
    library::elsewhere,
    rules::repeats::Subject,
};

/// Answers either kind of request.
///
/// # Errors
/// `not_found`; for one for access `conflict` if it was answered or withdrawn already, and `offline`; for one for contact
/// `invalid` with a number of views.
pub(super) async fn run(
    change: &Operation,
    request: RequestArg,
    (views, allow_offline): (Option<u32>, Option<bool>),
) -> Result<Outcome, WireError> {
    match (request, views, allow_offline) {
        (RequestArg::Access(number), ..) => access(change, number, (views, allow_offline)).await,
        (RequestArg::Contact(number), None, None) => {
            Ok(Outcome::Contact(Box::new(change.services.requests.decide_contact(number, true).await?)))
        }
        (RequestArg::Contact(_), ..) => {
            Err(WireError::new(Code::Invalid, format!("{request} asks for direct messages, not for views")))
        }
    }
}

/// Answers the request at the directory. The grant itself comes as an update. Checkouts that are asked for are allowed by that,
/// unless the owner says otherwise; it is said here, by a program whose user could see that they are asked for.
///
/// # Errors
/// `not_found`; `conflict` if it was answered or withdrawn already; `offline`.
async fn access(
    change: &Operation,
    request: u64,
    (views, allow_offline): (Option<u32>, Option<bool>),
) -> Result<Outcome, WireError> {
    let services = &change.services;
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    services.upstream.ready().await?;
    let unknown =
        || WireError::new(Code::NotFound, format!("no request {request} came in")).hint("dosctl requests");
    let asked =
        services.store.request(request).await?.filter(|asked| asked.path.owner == me).ok_or_else(unknown)?;
    let image = services.store.own_image_no(asked.image).await?.ok_or_else(|| elsewhere(&asked.path.name))?;
    let held = services.trust.contact(asked.from).await?.key;
    let key = ImageKeys::open(&identity.vault, &image)?.key_share(asked.image, (asked.from, &held))?;
    change.touches(Subject::Grant(asked.image, asked.from));
    let allow_offline = allow_offline.or(asked.offline.then_some(true));
    let decide = Decide { request, decision: Decision::Approve { views, key, allow_offline } };
    match change.request(Op::Decide(decide)).await? {
        Answer::Request(asked) => {
            services.requests.take((*asked).clone()).await?;
            Ok(Outcome::Request { request: asked, updated: false })
        }
        _ => Err(unexpected()),
    }
}
