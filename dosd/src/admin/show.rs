//! `show`: everything that the directory knows of one peer.

use dos_protocol::{admin::FromDosd, model::PeerRef};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn show(&self, peer: &PeerRef, replies: &mut Replies) -> Result<(), Stop> {
        let known = self.directory.find(None, peer).await?;
        let mut shown = self.directory.store.show(known.id).await?;
        self.set_presence(&mut shown.peer);
        if let Some(presence) = self.directory.live.presence_of(known.id) {
            shown.addresses = presence.reach.addresses().to_vec();
        }
        Ok(replies.send(FromDosd::Shown(Box::new(shown))).await?)
    }
}
