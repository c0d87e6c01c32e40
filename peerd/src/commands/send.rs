//! `send`: a message to another peer, through the directory or peer to peer.
//!
//! What always holds: the message's ID is durable before it is sent; a command that failed without an answer is
//! repeated under the same ID, so that the message arrives once. That goes on until dosctl has shown what came of it.

use std::sync::Arc;

use dos_protocol::{
    Code, MessageId, PeerId, PeerRef, Reason, WireError,
    control::{Outcome, Way},
    directory::{Answer, Op, Send, Sent},
    model::PeerInfo,
    peer::DirectMessage,
    sealing::{Letter, Route},
};

use super::{Finished, Services, WhenShown, resolve::resolve};
use crate::{
    blocks,
    directory::{Unanswered, unexpected, unregistered},
    peer::message::{bring, check_text},
    store::{Open, Outgoing, delivered},
};

/// Sends it.
///
/// # Errors
/// `not_found`; `denied`; `invalid`; `offline`, also if a direct one cannot be delivered now; `timeout`.
pub(super) async fn run(
    services: &Arc<Services>,
    to: PeerRef,
    text: Box<str>,
    direct: bool,
) -> Result<Finished, WireError> {
    check_text(&text)?;
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    if to == PeerRef::Id(me) {
        return Err(to_oneself());
    }
    if direct {
        let to = resolve(services, to).await?;
        return if to.id == me { Err(to_oneself()) } else { peer_to_peer(services, me, to, text).await };
    }
    services.upstream.ready().await?;
    // An address may be somebody else's when the command is repeated.
    let to = match to {
        PeerRef::Address(_) => PeerRef::Id(resolve(services, to).await?.id),
        other => other,
    };
    through_directory(services, me, to, text).await
}

fn to_oneself() -> WireError {
    WireError::new(Code::Invalid, "a message to oneself goes nowhere")
}

async fn through_directory(
    services: &Arc<Services>,
    me: PeerId,
    to: PeerRef,
    text: Box<str>,
) -> Result<Finished, WireError> {
    let outgoing = Outgoing { to: to.to_string().into(), direct: false, text: text.clone() };
    let recipient = match services.trust.who(&to).await {
        Ok(recipient) => recipient,
        Err(error) => return Err(services.trust.missing(&to, error).await),
    };
    if recipient == me {
        return Err(to_oneself());
    }
    let name = if let PeerRef::Name(name) = &to { Some(name) } else { None };
    blocks::check(&services.store, recipient, name).await?;
    // Before an ID is drawn: a message that cannot be sealed was never begun.
    if let Err(error) = services.trust.sealing_key(recipient).await {
        return Err(services.trust.missing(&to, error).await);
    }
    let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let sending = services.store.begin_send(services.sends.clone(), outgoing.clone()).await?;
    let message = sending.open.id();
    let letter = Letter { written_at: sending.begun_at, text };
    let route = Route { from: me, to: recipient, message };
    let sealed = services.trust.seal(&identity.secret, &route, &letter).await?;
    let send = Send { message, to: PeerRef::Id(recipient), text: "".into(), sealed: Some(sealed) };
    match services.upstream.request_tracked(Op::Send(send)).await {
        Ok(Answer::Sent(sent)) => finish(services, (me, sending.open), outgoing, (*sent, None)).await,
        Ok(_) => Err(unexpected()),
        Err(failed) => {
            if is_final(&failed) {
                services.store.drop_send(message).await?;
            }
            Err(explain(failed))
        }
    }
}

async fn peer_to_peer(
    services: &Arc<Services>,
    me: PeerId,
    to: PeerInfo,
    text: Box<str>,
) -> Result<Finished, WireError> {
    blocks::check(&services.store, to.id, to.name.as_ref()).await?;
    let outgoing = Outgoing { to: to.id.to_string().into(), direct: true, text: text.clone() };
    let sending = services.store.begin_send(services.sends.clone(), outgoing.clone()).await?;
    let message = DirectMessage { message: sending.open.id(), sent_at: sending.begun_at, text };
    match Box::pin(bring(&services.peers, &to, message)).await {
        Ok(way) => {
            let sent = delivered(to.id, to.name, sending.begun_at);
            finish(services, (me, sending.open), outgoing, (sent, Some(way))).await
        }
        Err(failed) => {
            if is_final(&failed) {
                services.store.drop_send(sending.open.id()).await?;
            }
            let offline = failed.error.code == Code::Offline && !failed.perhaps_done;
            let error = explain(failed);
            let who = to.name.map_or_else(|| to.id.to_string(), |name| name.to_string());
            // Without `--direct` it would wait at the directory.
            Err(if offline { error.hint(format!("dosctl send {who} TEXT")) } else { error })
        }
    }
}

async fn finish(
    services: &Arc<Services>,
    (me, open): (PeerId, Open<MessageId>),
    outgoing: Outgoing,
    (sent, way): (Sent, Option<Way>),
) -> Result<Finished, WireError> {
    let message = open.id();
    let feed = Arc::clone(&services.feed);
    let then = move |mail| feed.set_mail(mail);
    services.store.finish_send((me, message), outgoing, sent.clone(), then).await?;
    let outcome = Outcome::Sent { message, to: sent.to, to_name: sent.to_name, delivery: sent.delivery, way };
    Ok(Finished { outcome, then: Some(WhenShown::Sent(open)) })
}

/// Whether the refusal speaks of the message itself, so that no earlier attempt can have brought it there.
fn is_final(failed: &Unanswered) -> bool {
    let code = failed.error.code;
    !failed.perhaps_done
        && (matches!(code, Code::NotFound | Code::Invalid)
            || (code == Code::Denied && failed.error.reason != Some(Reason::Limit)))
}

/// What to tell of a message that was not taken, or of which that is not known.
pub(super) fn explain(failed: Unanswered) -> WireError {
    let Unanswered { error, perhaps_done } = failed;
    match error.code {
        Code::NotFound if error.hint.is_none() => error.hint("dosctl list"),
        code if perhaps_done => {
            let unknown = WireError::new(code, "it is not known whether the message was sent");
            unknown.caused_by(error.message).hint("the same command again: the message arrives once")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Code, reason: Option<Reason>, perhaps_done: bool) -> Unanswered {
        Unanswered { error: WireError { reason, ..WireError::new(code, "x") }, perhaps_done }
    }

    #[test]
    fn an_id_is_given_up_only_when_the_message_itself_was_refused() {
        assert!(is_final(&failed(Code::NotFound, None, false)));
        assert!(is_final(&failed(Code::Denied, Some(Reason::Blocked), false)));
        // A limit may have refused the second attempt alone.
        assert!(!is_final(&failed(Code::Denied, Some(Reason::Limit), false)));
        assert!(!is_final(&failed(Code::Offline, None, false)));
        assert!(!is_final(&failed(Code::Timeout, None, true)));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let error = explain(failed(Code::Timeout, None, true));
        assert_eq!((error.code, error.cause.as_deref()), (Code::Timeout, Some("x")));
        assert!(error.message.contains("not known"));
        assert_eq!(&*explain(failed(Code::Offline, None, false)).message, "x");
    }
}
