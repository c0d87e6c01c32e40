//! `send`: a message, kept until its recipient has stored it.
//!
//! What one session sends to peers by ID or name goes to the store in the order in which it was asked, without waiting for
//! anything before: the order in which the store takes messages is the order in which they arrive.

use std::time::Instant;

use dos_protocol::{
    PeerId, Seq,
    directory::{Answer, Delivery, Send, Sent},
    limits::DELIVERY_TIME_MAX,
};
use tokio::time::timeout;

use super::Directory;
use crate::{
    hub::Session,
    rules::{messages::check_text, refusal::reached},
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn send(
        &self,
        caller: &Session,
        change: Change,
        mut send: Send,
    ) -> Result<Answer, Refusal> {
        check_text(&send.text)?;
        let per_minute = self.settings().limits.messages_per_minute;
        if let Err(wait) = self.messages.count(caller.peer, per_minute, Instant::now()) {
            let error = reached("messages_per_minute", "too many messages");
            return Err(error.retry_after(wait).into());
        }
        let (to, unknown) = self.resolved(caller.peer, send.to);
        send.to = to;
        let accepted = self.store.send(change, send).await;
        let accepted = accepted.map_err(|refusal| unknown.unwrap_or(refusal))?;
        let delivery = match accepted.is_waiting {
            true => self.delivery(caller, accepted.to, accepted.seq).await,
            false => Delivery::Delivered,
        };
        let sent = Sent { to: accepted.to, to_name: accepted.to_name, at: accepted.at, delivery };
        Ok(Answer::Sent(Box::new(sent)))
    }

    /// Waits until the recipient has stored the row, if it is online, but not for long, nor after one of the two sessions
    /// has come to its end.
    async fn delivery(&self, caller: &Session, to: PeerId, seq: Seq) -> Delivery {
        let Some(recipient) = self.hub.get(to) else { return Delivery::Queued };
        let stored = async {
            tokio::select! {
                biased;
                stored = recipient.has_stored(seq) => stored,
                () = caller.ending() => false,
            }
        };
        match timeout(DELIVERY_TIME_MAX, stored).await {
            Ok(true) => Delivery::Delivered,
            Ok(false) | Err(_) => Delivery::Queued,
        }
    }
}
