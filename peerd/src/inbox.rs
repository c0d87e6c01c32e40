//! The inbox: takes the updates and broadcasts that wait, applies them in one transaction, then tells everybody and acknowledges.
//!
//! What always holds: nothing is acknowledged before it is durable, and nothing is told before. A gap ends the session:
//! the next one replays from what is stored.

use std::sync::Arc;

use dos_protocol::{
    PeerId, WireError,
    control::EventKind,
    directory::{NoticeKind, ToDirectory},
    limits::UPDATES_UNACKED_MAX,
};
use tokio::sync::mpsc;

use crate::{
    cache::Cache,
    copies::blocking,
    counters::Counters,
    directory::unregistered,
    feed::Feed,
    identity::Identities,
    invitations::{self, Invitations},
    letters,
    rules::strangers::Strangers,
    store::{Applied, Arrival},
    trust::Trust,
};

/// What the user reads about an update that cannot be read.
const UNKNOWN_UPDATE: &str = "the directory has sent something that this version cannot read: update peerd";

/// What updates change.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) counters: Counters,
    pub(crate) trust: Arc<Trust>,
    pub(crate) invitations: Arc<Invitations>,
}

/// Runs until the session ends, or says why it must.
pub(crate) async fn run(
    inbox: &Arc<Inbox>,
    me: PeerId,
    mut arrivals: mpsc::Receiver<Arrival>,
    replies: mpsc::Sender<ToDirectory>,
) -> Box<str> {
    loop {
        let mut batch = Vec::new();
        if arrivals.recv_many(&mut batch, UPDATES_UNACKED_MAX).await == 0 {
            return "the session is over".into();
        }
        let then = {
            let inbox = Arc::clone(inbox);
            move |applied: &mut Applied| tell(&inbox, applied)
        };
        let came_about = batch.iter().filter_map(Arrival::at).max();
        let acknowledge = batch.iter().any(|arrival| !matches!(arrival, Arrival::Broadcast(..)));
        let batch = match opened(inbox, me, batch).await {
            Ok(batch) => batch,
            Err(error) => return error.message,
        };
        let applied = match inbox.cache.store.apply_updates((me, inbox.cache.strangers()), batch, then).await
        {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "updates cannot be applied");
                return "updates cannot be applied".into();
            }
        };
        if let Some(at) = came_about
            && let Err(error) = inbox.cache.store.came_about(at).await
        {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot keep the directory's time");
        }
        if acknowledge && replies.send(ToDirectory::Ack(applied.stored)).await.is_err() {
            return "the session is over".into();
        }
        for contact in applied.changed {
            // What is returned is for a command.
            drop(inbox.trust.changed(contact, true).await);
        }
        inbox.cache.copies.remove(applied.free).await;
        if applied.greeted {
            inbox.invitations.work.notify_one();
        }
        if !applied.received.is_empty() {
            inbox.cache.look();
        }
    }
}

/// Opens the messages that came, off the threads that others wait for.
async fn opened(inbox: &Inbox, me: PeerId, batch: Vec<Arrival>) -> Result<Vec<Arrival>, WireError> {
    let batch = invitations::hear(&inbox.cache.store, &inbox.identity, batch).await?;
    if !letters::any(&batch) {
        return Ok(batch);
    }
    let (_, identity) = inbox.identity.registered().ok_or_else(unregistered)?;
    blocking(move || letters::open_all(me, &identity.secret, batch)).await
}

/// Runs on the writer's thread, right after the commit.
fn tell(inbox: &Inbox, applied: &mut Applied) {
    inbox.feed.set_requests(applied.requests);
    inbox.feed.set_mail(applied.mail);
    let name = inbox.identity.any().and_then(|identity| identity.name.clone());
    let lists_offers = inbox.cache.strangers() == Strangers::Offer;
    for (at, mut what) in applied.events.drain(..) {
        if let EventKind::Grant(grant) = &what
            && grant.offer
            && !lists_offers
        {
            continue;
        }
        if let EventKind::Message(message) = &mut what
            && message.to.is_some()
        {
            message.to_name.clone_from(&name);
        }
        inbox.feed.events.tell(at, what);
    }
    for why in applied.refusals.drain(..) {
        tracing::warn!(why = &*why, "refused a message");
        inbox.feed.notice(NoticeKind::Announcement, &why);
    }
    inbox.feed.set_refused(applied.refused);
    if applied.unknown_came {
        inbox.feed.notice(NoticeKind::Announcement, UNKNOWN_UPDATE);
    }
    inbox.counters.applied(&applied.kinds);
    inbox.feed.set_stored(applied.stored);
}
