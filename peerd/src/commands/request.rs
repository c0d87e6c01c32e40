//! `request`: asks an owner for access, or for more views.

use dos_protocol::{
    ImageArg, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Op, RequestAccess, RequestState},
};

use super::operation::Operation;
use crate::{
    directory::{no_image, unexpected},
    library::own_info,
};

/// Asks through the directory. A pending request for the image is changed instead of a second one made.
///
/// # Errors
/// `not_found`; `invalid`; `offline`.
pub(super) async fn run(change: &Operation, access: RequestAccess) -> Result<Outcome, WireError> {
    let RequestAccess { image, views, note, offline } = access;
    let services = &change.services;
    services.upstream.ready().await?;
    let asked = image.clone();
    let image = match &image.owner {
        // Asked of the peer that is known by that name, and believed of nobody else.
        Some(owner) => {
            let id = match services.trust.who(owner).await {
                Ok(id) => id,
                Err(error) => return Err(services.trust.missing(owner, error).await),
            };
            if services.identity.registered().is_some_and(|(me, _)| me != id) {
                match services.trust.contact(id).await {
                    Ok(_) => {}
                    Err(error) => return Err(services.trust.missing(owner, error).await),
                }
            }
            ImageArg { owner: Some(PeerRef::Id(id)), name: image.name }
        }
        None => {
            own_info(&services.library, &image.name).await?;
            image
        }
    };
    match change.request(Op::Request(RequestAccess { image, views, note, offline })).await {
        Ok(Answer::Request(request)) => {
            // A new one begins at revision 1.
            let updated = request.state == RequestState::Pending && request.revision > 1;
            change.services.requests.take((*request).clone()).await?;
            Ok(Outcome::Request { request, updated })
        }
        Ok(_) => Err(unexpected()),
        Err(error) => Err(no_image(&asked, error)),
    }
}
