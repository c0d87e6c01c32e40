//! The inbox: takes the updates that wait, applies them in one transaction, then tells everybody and acknowledges.
//!
//! What always holds: nothing is acknowledged before it is durable, and nothing is told before. A gap ends the session:
//! the next one replays from what is stored.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{PeerId, directory::ToDirectory, limits::UPDATES_UNACKED_MAX};
use tokio::sync::mpsc;

use crate::{
    Core,
    store::{Applied, Incoming},
};

/// Runs until the session ends, or says why it must.
pub(crate) async fn run(
    core: &Arc<Core>,
    me: PeerId,
    mut updates: mpsc::Receiver<Incoming>,
    replies: mpsc::Sender<ToDirectory>,
) -> Box<str> {
    loop {
        let mut batch = Vec::new();
        if updates.recv_many(&mut batch, UPDATES_UNACKED_MAX).await == 0 {
            return "the session is over".into();
        }
        let then = {
            let core = Arc::clone(core);
            move |applied: &mut Applied| tell(&core, applied)
        };
        let applied = match core.store.apply_updates(me, batch, then).await {
            Ok(applied) => applied,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "updates cannot be applied");
                return "updates cannot be applied".into();
            }
        };
        if replies.send(ToDirectory::Ack(applied.stored)).await.is_err() {
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
    for (at, what) in applied.events.drain(..) {
        core.events.tell(at, what);
    }
    core.stored.send_replace(applied.stored);
}
