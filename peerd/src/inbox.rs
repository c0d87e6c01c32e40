//! The inbox: takes the updates and broadcasts that wait, applies them in one transaction, then tells everybody and acknowledges.
//!
//! What always holds: nothing is acknowledged before it is durable, and nothing is told before. A gap ends the session:
//! the next one replays from what is stored.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{PeerId, control::EventKind, directory::ToDirectory, limits::UPDATES_UNACKED_MAX};
use tokio::sync::mpsc;

use crate::{
    Core,
    store::{Applied, Arrival, Mail},
};

impl Core {
    /// Tells everybody what the messages come to. Runs on the writer's thread, right after a commit.
    pub(crate) fn tell_mail(&self, mail: Mail) {
        self.mail.send_replace(mail);
    }
}

/// Runs until the session ends, or says why it must.
pub(crate) async fn run(
    core: &Arc<Core>,
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
            let core = Arc::clone(core);
            move |applied: &mut Applied| tell(&core, applied)
        };
        let acknowledge = batch.iter().any(|arrival| !matches!(arrival, Arrival::Broadcast(_)));
        let applied = match core.store.apply_updates(me, batch, then).await {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "updates cannot be applied");
                return "updates cannot be applied".into();
            }
        };
        if acknowledge && replies.send(ToDirectory::Ack(applied.stored)).await.is_err() {
            return "the session is over".into();
        }
        core.copies.remove(applied.free).await;
        for grant in applied.received {
            core.chores.arrived(grant);
        }
    }
}

/// Runs on the writer's thread, right after the commit.
fn tell(core: &Core, applied: &mut Applied) {
    core.pending_requests.store(applied.requests, Ordering::Relaxed);
    core.tell_mail(applied.mail);
    let name = core.identity.any().and_then(|identity| identity.name.clone());
    for (at, mut what) in applied.events.drain(..) {
        if let EventKind::Message(message) = &mut what
            && message.to.is_some()
        {
            message.to_name.clone_from(&name);
        }
        core.events.tell(at, what);
    }
    core.metrics.applied(&applied.kinds);
    core.stored.send_replace(applied.stored);
}
