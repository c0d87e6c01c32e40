//! `send`: a message, kept until its recipient has stored it.
//!
//! What one session sends to peers by ID or name goes to the store in the order in which it was asked, without waiting for
//! anything before: the order in which the store takes messages is the order in which they arrive.

use dos_daemon::rate::Rate;
use dos_protocol::{
    Code, PeerId, Seq, Timestamp, WireError,
    directory::{Answer, Delivery, Send, Sent},
    limits::{DELIVERY_TIME_MAX, MESSAGE_BYTES_MAX},
};
use std::time::Instant;

use tokio::time::timeout;

use super::Directory;
use crate::{hub::Session, limits::reached, store::Refusal};

impl Directory {
    pub(super) async fn send(&self, caller: &Session, mut send: Send) -> Result<Answer, Refusal> {
        check_message(&send.text)?;
        let rate = Rate::per_minute(self.settings().limits.messages_per_minute.into());
        if let Err(wait) = self.messages.take(caller.peer, rate, Instant::now()) {
            let error = reached("messages_per_minute", "too many messages");
            return Err(error.retry_after(wait).into());
        }
        let now = Timestamp::now();
        let taken = match self.known_as(caller.peer, send.to.clone()) {
            Ok(known) => {
                send.to = known;
                self.store.send(caller.peer, send, now).await?
            }
            // The message may have been taken before, when somebody was there; if not, the store finds nobody either.
            Err(refusal) => self.store.send(caller.peer, send, now).await.map_err(|_| refusal)?,
        };
        let delivery = match taken.is_waiting {
            true => self.delivery(caller, taken.to, taken.seq).await,
            false => Delivery::Delivered,
        };
        Ok(Answer::Sent(Box::new(Sent { to: taken.to, to_name: taken.to_name, at: taken.at, delivery })))
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

/// Refuses the text of a message that says nothing or too much.
pub(super) fn check_message(text: &str) -> Result<(), Refusal> {
    let why = if text.trim().is_empty() {
        "a message says something".into()
    } else if text.len() > MESSAGE_BYTES_MAX {
        format!("a message has at most {MESSAGE_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(WireError::new(Code::Invalid, why).into())
}
