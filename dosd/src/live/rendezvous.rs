//! Telling a peer of a rendezvous, here or at another node, so that both begin at one moment.
//!
//! What always holds: nothing of it is kept, so that there is nothing to bound but the peers' rates; who may call whom is decided before.

use std::time::Duration;

use dos_protocol::{
    PeerId,
    directory::RendezvousCall,
    node::{Ask, Told},
};

use super::{Live, Push};
use crate::rules::rendezvous::begins_after;

impl Live {
    /// How long a peer that is here takes to answer; nothing that is known of it, if it does not.
    pub(crate) async fn round_trip(&self, peer: PeerId) -> Option<Duration> {
        self.session(peer)?.round_trip().await
    }

    /// Notifies a peer of a rendezvous with a caller that takes this long to answer; how long this one takes, if it will receive that.
    pub(crate) async fn rendezvous(
        &self,
        peer: PeerId,
        call: RendezvousCall,
        caller: Duration,
    ) -> Option<Duration> {
        if self.is_here(peer) {
            return self.rendezvous_here(peer, call, caller).await;
        }
        let away = self.elsewhere.get(peer)?;
        let ask = Ask::Rendezvous { peer, call: Box::new(call), round_trip_us: micros(caller) };
        match self.elsewhere.ask(away.node, ask).await? {
            Told::Micros(micros) => Some(Duration::from_micros(micros)),
            Told::Done(_) | Told::Count(_) | Told::Unknown => None,
        }
    }

    /// The same of a peer that is here.
    pub(super) async fn rendezvous_here(
        &self,
        peer: PeerId,
        call: RendezvousCall,
        caller: Duration,
    ) -> Option<Duration> {
        let session = self.session(peer)?;
        let called = session.round_trip().await?;
        let call = RendezvousCall { begin_us: micros(begins_after(called, caller)), ..call };
        session.push(Push::Rendezvous(Box::new(call))).then_some(called)
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
