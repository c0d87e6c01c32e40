//! Arranging that two peers connect to each other at one moment.

use std::time::Instant;

use dos_daemon::rate::Rate;
use dos_protocol::{
    Code, PeerId, Reason, WireError,
    directory::{Answer, Rendezvous, RendezvousAt, RendezvousCall},
    limits::RENDEZVOUS_PER_MINUTE,
};

use super::Directory;
use crate::{
    rules::{
        Act,
        blocks::across::{self, Outcome},
        rendezvous::begins_after,
    },
    store::Refusal,
};

impl Directory {
    /// Tells the other peer where the caller is seen, and the caller where the other one is.
    pub(super) async fn rendezvous(
        &self,
        from: PeerId,
        Rendezvous { peer: to, ticket, port }: Rendezvous,
    ) -> Result<Answer, Refusal> {
        if from == to {
            return Err(WireError::new(Code::Invalid, "a peer does not call itself").into());
        }
        let rate = Rate::per_minute(RENDEZVOUS_PER_MINUTE.into());
        self.rendezvous.take(from, rate, Instant::now()).map_err(|wait| {
            let error = WireError::new(Code::Denied, "too many rendezvous of yours");
            error.because(Reason::Limit).retry_after(wait)
        })?;
        let offline = || WireError::new(Code::Offline, format!("peer {to} is offline"));
        // A peer that hides is neither notified nor seen to be online.
        if across::outcome(Act::Call, self.live.between(from, to)) != Outcome::Done {
            return Err(offline().into());
        }
        let (caller, called) = (self.live.presence_of(from), self.live.presence_of(to));
        let (caller, called) = caller.zip(called).ok_or_else(offline)?;
        let (caller, called) = (caller.reach.calling_from(port), called.reach);
        if caller.mapped().is_none() || called.mapped().is_none() {
            let text = "one of the two takes part in no rendezvous";
            return Err(WireError::new(Code::Unsupported, text).into());
        }
        let call = RendezvousCall {
            ticket,
            from,
            mapped: caller.mapped_told_to(&called),
            addresses: caller.called_back_by(&called),
            begin_us: 0,
        };
        let own = self.live.round_trip(from).await.unwrap_or_default();
        let other = self.live.rendezvous(to, call, own).await.ok_or_else(offline)?;
        let mapped = called.mapped_told_to(&caller);
        let begin_us = u64::try_from(begins_after(own, other).as_micros()).unwrap_or(0);
        Ok(Answer::Rendezvous(RendezvousAt { mapped, begin_us }))
    }
}
