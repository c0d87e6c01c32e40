//! Invitations, on both sides: greetings are read and their proofs verified; guests get what was promised to them and an answer, and
//! inviters are greeted.
//!
//! What always holds: nothing is done here that is not written down before, and everything under an operation of its own, so that
//! whatever is killed goes on where it was; the secret leaves this machine in no form but that of its proofs.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    Allowance, Code, PeerId, PublicKey, WireError,
    control::{Event, EventKind, InviteState},
    directory::{Answer, Greet, Greeted, Op, Update, ViewsChange},
    invitation::{Greeting, InviteKey, Meeting},
    sealing::sealing_key,
};
use tokio::sync::Notify;

use crate::{
    cache::Cache,
    directory::{Directory, Repeat, Unanswered, unexpected, unregistered},
    feed::Feed,
    giving::{self, Giver, Promised},
    identity::{Identities, Identity, IdentityError},
    rules::retry::may_come_later,
    store::{Arrival, Heard, Incoming, Joined, PendingAnswer, Promise, Store},
    trust::Trust,
    vault::EventKind as Secret,
};

/// What invitations need.
#[derive(Debug)]
pub(crate) struct Invitations {
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) feed: Arc<Feed>,
    /// There may be something to do.
    pub(crate) work: Notify,
    /// One at a time: what is being done is not begun a second time beside it.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Invitations {
    /// With nothing to do.
    pub(crate) fn new(
        (cache, identity, directory, trust): (Cache, Arc<Identities>, Arc<dyn Directory>, Arc<Trust>),
        feed: Arc<Feed>,
    ) -> Self {
        let (work, turn) = (Notify::new(), tokio::sync::Mutex::default());
        Self { cache, identity, directory, trust, feed, work, turn }
    }
}

/// This peer, as an invitation has it.
struct Me {
    id: PeerId,
    key: PublicKey,
    identity: Arc<Identity>,
}

impl Me {
    fn directory(&self) -> PublicKey {
        self.identity.server.key
    }
}

fn me(identity: &Identities) -> Result<Me, WireError> {
    let (id, identity) = identity.registered().ok_or_else(unregistered)?;
    let key = identity.secret.public().map_err(IdentityError::from)?;
    Ok(Me { id, key, identity })
}

fn opened(me: &Me, row: &[u8; 16], sealed: &[u8]) -> Result<InviteKey, WireError> {
    Ok(InviteKey::from(me.identity.vault.open(Secret::InviteKey, row, sealed)?))
}

/// A secret that does not open proves nothing, and stops no other update.
fn readable(key: Result<InviteKey, WireError>) -> Option<InviteKey> {
    key.inspect_err(|error| tracing::error!(error = %error.message, "the secret of an invitation is lost"))
        .ok()
}

/// Reads the greetings of a batch and verifies what they prove. Other arrivals stay as they are.
///
/// # Errors
/// If the store fails.
pub(crate) async fn hear(
    store: &Store,
    identity: &Identities,
    batch: Vec<Arrival>,
) -> Result<Vec<Arrival>, WireError> {
    let mut heard = Vec::with_capacity(batch.len());
    for arrival in batch {
        heard.push(match arrival {
            Arrival::Update(Incoming { seq, at, update: Update::Greeting(greeted), .. }) => {
                let heard = hear_one(store, &me(identity)?, &greeted).await?;
                Arrival::Greeting { seq, at, heard }
            }
            other => other,
        });
    }
    Ok(heard)
}

async fn hear_one(store: &Store, me: &Me, greeted: &Greeted) -> Result<Heard, WireError> {
    let Some(greeting) = Greeting::read(&greeted.greeting) else { return Ok(Heard::Nothing) };
    let invitation = greeting.invitation();
    if let Greeting::Join(join) = greeting {
        let Some(sealed) = store.invitation_secret(invitation).await? else { return Ok(Heard::Nothing) };
        let guest = (greeted.from, join.key);
        let meeting = Meeting { directory: me.directory(), inviter: (me.id, me.key), guest };
        let Some(key) = readable(opened(me, invitation.as_bytes(), &sealed)) else {
            return Ok(Heard::Nothing);
        };
        let is_proved = join.sealing.verify(&join.key).is_ok() && join.is_proved(&key, &meeting);
        return Ok(Heard::Guest { from: greeted.from, join: Box::new(join), is_proved });
    }
    let Some(Joined { joining, .. }) = store.joined(invitation).await? else { return Ok(Heard::Nothing) };
    let inviter = &joining.inviter;
    if greeted.from != inviter.id {
        return Ok(Heard::Nothing);
    }
    let Some(key) = readable(opened(me, invitation.as_bytes(), &joining.secret)) else {
        return Ok(Heard::Nothing);
    };
    let inviters = (inviter.id, inviter.key);
    let meeting = Meeting { directory: me.directory(), inviter: inviters, guest: (me.id, me.key) };
    let (verdict, is_proved) = match greeting {
        Greeting::Welcome(welcome) => {
            let own = sealing_key(&me.identity.secret).map_err(IdentityError::from)?;
            let is_proved = welcome.sealing.verify(&inviter.key).is_ok();
            (Ok(welcome.sealing), is_proved && welcome.is_proved(&key, &meeting, &own))
        }
        Greeting::Refusal(refusal) => (Err(refusal.why), refusal.is_proved(&key, &meeting)),
        Greeting::Join(_) => return Ok(Heard::Nothing),
    };
    Ok(Heard::Answer { invitation, verdict, is_proved })
}

/// Does all that is to be done: greets inviters, gives what was promised, answers guests, revokes invites at the directory.
///
/// # Errors
/// `offline` and the like: the rest is done later.
pub(crate) async fn proceed(invitations: &Invitations) -> Result<(), WireError> {
    let _turn = invitations.turn.lock().await;
    let me = me(&invitations.identity)?;
    let store = &invitations.cache.store;
    for joined in store.joined_waiting(me.directory()).await? {
        greet(invitations, &me, joined).await?;
    }
    for promise in store.promises().await? {
        keep(invitations, &me, &promise).await?;
    }
    for answer in store.answers_to_guests().await? {
        answer_guest(invitations, &me, answer).await?;
    }
    for code in store.codes_to_revoke().await? {
        match invitations.directory.request_again(Op::RevokeInvite(code)).await {
            Err(error) if may_come_later(&error) => return Err(error),
            Ok(_) | Err(_) => store.code_is_revoked(code).await?,
        }
    }
    Ok(())
}

/// Pins the inviter's key, and proves one's own to it.
async fn greet(invitations: &Invitations, me: &Me, joined: Joined) -> Result<(), WireError> {
    let Joined { joining, operation, .. } = joined;
    let store = &invitations.cache.store;
    if !store.pin_inviter(joining.inviter.clone()).await? {
        // A person has to decide between the two keys.
        return Ok(());
    }
    let inviter = (joining.inviter.id, joining.inviter.key);
    let meeting = Meeting { directory: me.directory(), inviter, guest: (me.id, me.key) };
    let key = opened(me, joining.id.as_bytes(), &joining.secret)?;
    let own = sealing_key(&me.identity.secret).map_err(IdentityError::from)?;
    let greeting = Greeting::Join(key.join(&meeting, own, me.identity.name.clone()));
    let sent = send(invitations, (inviter.0, &greeting), Repeat::Under(operation)).await;
    match sent {
        Err(Unanswered { error, .. }) if may_come_later(&error) => Err(error),
        Err(Unanswered { error, .. }) => {
            tracing::warn!(inviter = %inviter.0, error = %error.message, "an inviter cannot be greeted");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn send(
    invitations: &Invitations,
    (to, greeting): (PeerId, &Greeting),
    repeat: Repeat,
) -> Result<(), Unanswered> {
    let failed = |error| Unanswered { error, perhaps_done: false };
    let greeting =
        greeting.to_blob().map_err(|error| failed(WireError::new(Code::Internal, error.to_string())))?;
    match invitations.directory.send(Op::Greet(Box::new(Greet { to, greeting })), repeat).await? {
        Answer::Done => Ok(()),
        _ => Err(failed(unexpected())),
    }
}

/// Gives a guest the grant that was promised to it, once.
async fn keep(invitations: &Invitations, me: &Me, promise: &Promise) -> Result<(), WireError> {
    let store = &invitations.cache.store;
    let outcome = match give(invitations, me, promise).await {
        Ok(()) => Ok(()),
        Err(error) if may_come_later(&error) => return Err(error),
        Err(error) => {
            tracing::warn!(viewer = %promise.viewer, error = %error.message, "a guest does not get what was promised");
            Err(error.message)
        }
    };
    let failed = outcome.is_err();
    let invite = store.promise_kept(promise, outcome).await?;
    if let Some(invite) = invite.filter(|invite| failed || invite.state == InviteState::Used) {
        let now = store.clock().now();
        let event = Event::new(now, EventKind::Invite(Box::new(invite)));
        store.note_news(event.clone()).await?;
        invitations.feed.events.tell(now, event.what);
    }
    Ok(())
}

async fn give(invitations: &Invitations, me: &Me, promise: &Promise) -> Result<(), WireError> {
    let Invitations { cache, directory, trust, .. } = invitations;
    let giver = Giver { cache, directory: &**directory, trust, identity: &me.identity };
    let views = match promise.views {
        Allowance::Unlimited => ViewsChange::Set(Allowance::Unlimited),
        Allowance::Views(views) => ViewsChange::Add(views),
    };
    let promised = Promised {
        image: promise.image,
        viewer: promise.viewer,
        views,
        lasts: promise.lasts_ms.map(Duration::from_millis),
        allow_offline: promise.allow_offline.then_some(true),
        operation: promise.operation,
        begun_at: promise.begun_at.unwrap_or_else(|| cache.store.clock().now()),
        in_doubt: promise.begun_at.is_some(),
    };
    let begin = async { Ok(cache.store.promise_begun(promise).await?) };
    giving::give(giver, promised, begin).await
}

/// Tells a guest what has become of it.
async fn answer_guest(invitations: &Invitations, me: &Me, answer: PendingAnswer) -> Result<(), WireError> {
    let key = opened(me, answer.invitation.as_bytes(), &answer.secret)?;
    let meeting =
        |guest| Meeting { directory: me.directory(), inviter: (me.id, me.key), guest: (answer.peer, guest) };
    let greeting = match &answer.verdict {
        Ok((guest, guests)) => {
            let own = sealing_key(&me.identity.secret).map_err(IdentityError::from)?;
            Greeting::Welcome(key.welcome(&meeting(*guest), own, guests))
        }
        // A refusal is not over the guest's key.
        Err(why) => Greeting::Refusal(key.refusal(&meeting(me.key), *why)),
    };
    match send(invitations, (answer.peer, &greeting), Repeat::Under(answer.operation)).await {
        Err(Unanswered { error, .. }) if may_come_later(&error) => Err(error),
        Ok(()) | Err(_) => Ok(invitations.cache.store.answer_sent(answer.operation).await?),
    }
}
