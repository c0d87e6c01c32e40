//! Calling a peer through the relay.

use dos_protocol::{
    Code, PeerId, WireError,
    directory::{Answer, Call},
};

use super::Directory;
use crate::{
    rules::{
        Act,
        blocks::across::{self, Outcome},
    },
    store::Refusal,
};

impl Directory {
    /// Tells the other peer of the call; both come to the port with the ticket.
    pub(super) async fn relay(&self, from: PeerId, to: PeerId) -> Result<Answer, Refusal> {
        let settings = self.settings().relay;
        if !settings.on {
            return Err(WireError::new(Code::Denied, "this directory does not relay").into());
        }
        if from == to {
            return Err(WireError::new(Code::Invalid, "a peer does not call itself").into());
        }
        let offline = || WireError::new(Code::Offline, format!("peer {to} is offline"));
        // A peer that hides is neither notified nor seen to be online.
        if !self.live.is_online(to)
            || across::outcome(Act::Call, self.live.between(from, to)) != Outcome::Done
        {
            return Err(offline().into());
        }
        let ticket = self.live.relay.admit(from, to, settings)?;
        // The other one comes here, where the ticket is known.
        let at = self.address_for(to);
        if self.live.call(to, Call { ticket, from, at }).await {
            Ok(Answer::Ticket(ticket))
        } else {
            self.live.relay.forget(&ticket);
            Err(offline().into())
        }
    }
}
