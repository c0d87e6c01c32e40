//! `broadcast`: says something to everybody who is online.

use std::sync::Arc;

use dos_protocol::{
    Code, MessageId, WireError,
    control::Outcome,
    directory::{Answer, Broadcast, Op},
    sealing::{Route, sign_broadcast},
};

use super::Services;
use crate::{
    directory::{unexpected, unregistered},
    peer::message::check_text,
};

/// Has the directory tell everybody. It is not kept there, and not said again.
///
/// # Errors
/// `denied` if that is too often, or switched off; `invalid`; `offline`.
pub(super) async fn run(services: &Arc<Services>, text: Box<str>) -> Result<Outcome, WireError> {
    check_text(&text)?;
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    services.upstream.ready().await?;
    let message = MessageId::generate();
    // It goes to everybody: no recipient is signed.
    let route = Route { from: me, to: me, message };
    let signature = sign_broadcast(&route, &identity.secret, &text)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let broadcast = Broadcast { message, text: text.clone(), signature: Some(signature) };
    let told = match services.upstream.request(Op::Broadcast(broadcast)).await {
        Ok(Answer::Told(told)) => told,
        Ok(_) => return Err(unexpected()),
        Err(error) => return Err(explain(error)),
    };
    let feed = Arc::clone(&services.feed);
    services.store.keep_broadcast(me, message, text, move |mail| feed.set_mail(mail)).await?;
    Ok(Outcome::Told(told))
}

/// The session was there: without an answer nobody knows whether it was said.
fn explain(error: WireError) -> WireError {
    match error.code {
        code @ (Code::Offline | Code::Timeout) => {
            WireError::new(code, "it is not known whether the broadcast was sent").caused_by(error.message)
        }
        _ => error,
    }
}
