//! Another name for a peer that asks for it itself.

use dos_protocol::{PeerId, PeerName, Timestamp, directory::PeerChange, model::PeerRef};

use super::{Changed, Refusal, Store, peers};
use crate::rules::{names, refusal::no_peer};

impl Store {
    /// Gives a peer the name that it wants; the same again changes nothing.
    ///
    /// # Errors
    /// `not_found` if it is not registered any more; `conflict` if another peer has the name; `invalid` if it must not be given anew.
    pub async fn take_name(&self, peer: PeerId, name: PeerName, now: Timestamp) -> Result<(), Refusal> {
        self.change(move |connection| {
            let known = peers::by_id(connection, peer)?.ok_or_else(|| no_peer(&PeerRef::Id(peer)))?;
            let holder = peers::by_name(connection, &name)?.map(|holder| holder.id);
            if names::rename(known.id, (&name, holder))? {
                peers::rename(connection, peer, &name)?;
                return Ok(Changed::from(()).telling(peer, Some(PeerChange::Named(name)), now));
            }
            Ok(().into())
        })
        .await
    }
}
