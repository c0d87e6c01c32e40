//! `send`: a message, kept until its recipient has stored it.
//!
//! What one session sends to peers by ID or name goes to the store in the order in which it was asked, without waiting for
//! anything before: the order in which the store takes messages is the order in which they arrive.

use std::time::Instant;

use dos_daemon::rate::Rate;
use dos_protocol::{
    PeerId, Seq,
    directory::{Answer, Delivery, Send, Sent},
    limits::DELIVERY_TIME_MAX,
};
use tokio::time::timeout;

use super::Directory;
use crate::{
    live::Caller,
    rules::{messages::check, refusal::reached},
    store::{Change, Refusal},
};

impl Directory {
    pub(super) async fn send(
        &self,
        caller: &Caller,
        change: Change,
        mut send: Send,
    ) -> Result<Answer, Refusal> {
        check(&send)?;
        let rate = Rate::per_minute(self.settings().limits.messages_per_minute.into());
        if let Err(wait) = self.messages.take(caller.peer, rate, Instant::now()) {
            let error = reached("messages_per_minute", "too many messages");
            return Err(error.retry_after(wait).into());
        }
        let (to, unknown) = self.resolved(caller.peer, send.to);
        send.to = to;
        let message = send.message;
        let accepted = self.store.send(change, send).await;
        let accepted = accepted.map_err(|refusal| unknown.unwrap_or(refusal))?;
        let delivery = match accepted.is_waiting {
            true if self.is_stored(caller, accepted.to, accepted.seq).await => Delivery::Delivered,
            true => self.store.queued(caller.peer, message).await?,
            false => Delivery::Delivered,
        };
        let sent = Sent { to: accepted.to, to_name: accepted.to_name, at: accepted.at, delivery };
        Ok(Answer::Sent(Box::new(sent)))
    }

    /// Waits until the recipient has stored the row, if it is online, but not for long, nor after one of the two sessions
    /// has come to its end.
    async fn is_stored(&self, caller: &Caller, to: PeerId, seq: Seq) -> bool {
        let stored = async {
            tokio::select! {
                biased;
                stored = self.live.has_stored(to, seq) => stored,
                () = caller.ending.wait() => false,
            }
        };
        timeout(DELIVERY_TIME_MAX, stored).await.unwrap_or(false)
    }
}
