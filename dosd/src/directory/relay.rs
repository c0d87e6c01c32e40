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
    pub(super) fn relay(&self, from: PeerId, to: PeerId) -> Result<Answer, Refusal> {
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
        if self.live.call(to, Call { ticket, from }) {
            Ok(Answer::Ticket(ticket))
        } else {
            self.live.relay.forget(&ticket);
            Err(offline().into())
        }
    }
}
