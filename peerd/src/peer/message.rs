//! Direct messages: bringing one to another peer, and taking one that another peer brings.
//!
//! What always holds: the directory hears neither of the message nor of its text; a message is answered with `stored` only
//! when it is durable here; of a sender that is not welcome nothing is kept but its question. Nothing waits: what cannot be
//! delivered now is not delivered.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    Code, Reason, Timestamp, WireError,
    control::{EventKind, Way},
    frame::{self, Reader},
    limits::{IDENTIFY_TIME_MAX, MESSAGE_BYTES_MAX},
    model::PeerInfo,
    peer::{DirectMessage, FromPeer, ToPeer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use super::{
    Peers,
    bad::Why,
    callers::{Caller, From, identify},
    dial::{Dialed, dial_but},
};
use crate::{
    addresses::interfaces,
    directory::{Unanswered, unexpected, unregistered},
    store::{Direct, Me, Received, Told, Verdict},
};

/// How often a message is brought before nobody knows what became of it.
const TRIES_MAX: u32 = 2;

/// How long the peer may take to answer: it may have to ask the directory who calls. The first time it is asked again by another way when it has had
/// that time alone.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// The pause before trying again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Refuses a text that cannot be sent.
///
/// # Errors
/// `invalid` if there is nothing in it, or too much.
pub(crate) fn check_text(text: &str) -> Result<(), WireError> {
    if text.trim().is_empty() {
        return Err(WireError::new(Code::Invalid, "a message has to say something"));
    }
    if text.len() > MESSAGE_BYTES_MAX {
        let what = format!("a message has at most {MESSAGE_BYTES_MAX} bytes, and this one {}", text.len());
        return Err(WireError::new(Code::Invalid, what));
    }
    Ok(())
}

/// Takes a message that the holder of `key` brings.
pub(super) async fn take(peers: &Arc<Peers>, from: From, message: DirectMessage) -> FromPeer {
    match judge(peers, from, message).await {
        Ok(()) => FromPeer::Stored,
        Err(error) => {
            tracing::debug!(error = %error.message, "refused a direct message");
            FromPeer::Refused(error)
        }
    }
}

async fn judge(peers: &Arc<Peers>, caller: From, message: DirectMessage) -> Result<(), WireError> {
    check_text(&message.text)?;
    let (id, identity) = peers.identity.registered().ok_or_else(unregistered)?;
    let me = Me { id, name: identity.name.clone() };
    let Caller { id: from, name: from_name, .. } = identify(peers, caller).await?;
    let DirectMessage { message, sent_at, text } = message;
    let brought = Direct { from, from_name, message, sent_at, text };
    let then = {
        let peers = Arc::clone(peers);
        move |judged: &mut Received| tell(&peers, judged)
    };
    let denied = |reason, why: &str| Err(WireError::new(Code::Denied, why).because(reason));
    let name = brought.from_name.clone();
    match peers.store.receive_direct(me, brought, then).await?.verdict {
        Verdict::Stored(_) => {
            peers.trust.meet(Told { peer: from, key: caller.key, sealing: None, name }).await
        }
        Verdict::Refused => denied(Reason::Blocked, "no direct messages are taken from this peer"),
        Verdict::Request(_) => {
            denied(Reason::NotAccepted, "somebody was asked whether to take direct messages")
        }
        Verdict::Full => denied(Reason::Limit, "the last direct messages were not read yet"),
        Verdict::Crowded => denied(Reason::Limit, "too many others wait to be accepted"),
    }
}

/// Runs on the writer's thread, right after the commit.
fn tell(peers: &Peers, judged: &mut Received) {
    peers.feed.set_requests(judged.requests);
    peers.feed.set_mail(judged.mail);
    let what = match &judged.verdict {
        Verdict::Stored(Some(message)) => EventKind::Message(message.clone()),
        Verdict::Request(Some(contact)) => EventKind::Contact(contact.clone()),
        _ => return,
    };
    peers.feed.events.tell(Timestamp::now(), what);
}

/// Brings a message to `to`, and says which way it went.
///
/// # Errors
/// `offline` if no way leads there; `denied` with what the peer says.
pub(crate) async fn bring(
    peers: &Arc<Peers>,
    to: &PeerInfo,
    message: DirectMessage,
) -> Result<Way, Unanswered> {
    let not_done = |error| Unanswered { error, perhaps_done: false };
    let (_, identity) = peers.identity.registered().ok_or_else(|| not_done(unregistered()))?;
    let asked = Instant::now();
    let contact = peers.trust.contact(to.id).await.map_err(not_done)?;
    let passed = asked.elapsed();
    let mut tried = 0;
    let mut perhaps_done = false;
    let mut silent = None;
    loop {
        tried += 1;
        let time = if tried < TRIES_MAX { IDENTIFY_TIME_MAX } else { ANSWER_TIME_MAX };
        let lost = match Box::pin(dial_but(peers, &identity, (&contact, passed), silent)).await {
            Ok(Dialed { stream, route }) => match exchange(Reader::new(stream), &message, time).await {
                Ok(FromPeer::Stored) => {
                    if let Some(path) = silent.filter(|path| *path != route.path()) {
                        peers.bad.put(to.id, (path, Why::Stalled), interfaces);
                    }
                    return Ok(route.way());
                }
                Ok(FromPeer::Refused(error)) => return Err(not_done(refused(to, error))),
                Ok(_) => return Err(not_done(unexpected())),
                Err(error) => {
                    perhaps_done = true;
                    silent = Some(route.path()).filter(|_| error.kind() == std::io::ErrorKind::TimedOut);
                    WireError::new(Code::Offline, "the connection was lost").caused_by(error.to_string())
                }
            },
            Err(error) => error,
        };
        if tried >= TRIES_MAX || !perhaps_done {
            return Err(Unanswered { error: lost, perhaps_done });
        }
        sleep(AGAIN_AFTER).await;
    }
}

async fn exchange<S>(
    mut stream: Reader<S>,
    message: &DirectMessage,
    time: Duration,
) -> std::io::Result<FromPeer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = frame::to_frame(&ToPeer::Message(message.clone())).map_err(std::io::Error::other)?;
    let asked = async {
        stream.get_mut().write_all(&frame).await?;
        stream.get_mut().flush().await?;
        stream.next().await.map_err(std::io::Error::other)
    };
    let body = timeout(time, asked).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    let body = body.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    frame::decode(&body).map_err(std::io::Error::other)
}

/// What the peer says, in our words: it may say anything.
fn refused(to: &PeerInfo, error: WireError) -> WireError {
    let who = to.name.as_ref().map_or_else(|| to.id.to_string(), ToString::to_string);
    let denied = |reason, text: String| WireError::new(Code::Denied, text).because(reason);
    match (error.code, error.reason) {
        (_, Some(Reason::NotAccepted)) => denied(
            Reason::NotAccepted,
            format!("{who} was asked whether to take direct messages from you; send it again once that is approved"),
        )
        .hint(format!("dosctl send {who} TEXT")),
        (_, Some(Reason::Limit)) => {
            denied(Reason::Limit, format!("{who} takes no more direct messages for now"))
                .hint(format!("dosctl send {who} TEXT"))
        }
        (Code::Denied, _) => denied(Reason::Blocked, format!("{who} takes nothing from you")),
        (Code::Unsupported, _) => {
            WireError::new(Code::Unsupported, format!("the peerd of {who} does not know direct messages"))
        }
        (Code::Offline | Code::Timeout, _) => {
            WireError::new(Code::Offline, format!("{who} cannot find out from whom the message is"))
        }
        _ => WireError::new(Code::Internal, format!("{who} could not take the message"))
            .caused_by(dos_protocol::name::printable(&error.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_is_told_in_our_words() {
        let to = PeerInfo {
            id: "7xKqPm2R".parse().unwrap(),
            name: Some("bob".parse().unwrap()),
            online: true,
            address: None,
            last_seen: None,
            online_since: None,
            last_end: None,
            images: Vec::new(),
            key: None,
        };
        let said = |code, reason| {
            let error = WireError::new(code, "\u{1b}[2Jrun this").hint("rm -r ~").caused_by("\u{1b}");
            refused(&to, WireError { reason, ..error })
        };
        for (code, reason, expected) in [
            (Code::Denied, Some(Reason::NotAccepted), Code::Denied),
            (Code::Denied, Some(Reason::Blocked), Code::Denied),
            (Code::Denied, None, Code::Denied),
            (Code::Offline, None, Code::Offline),
            (Code::Timeout, Some(Reason::Limit), Code::Denied),
            (Code::Usage, None, Code::Internal),
            (Code::NotFound, None, Code::Internal),
            (Code::Unsupported, None, Code::Unsupported),
        ] {
            let error = said(code, reason);
            assert_eq!(error.code, expected, "{code}");
            assert!(!format!("{} {:?}", error.message, error.cause).contains('\u{1b}'), "{error:?}");
            assert!(error.hint.is_none_or(|hint| hint.starts_with("dosctl send")), "{code}");
        }
    }
}
