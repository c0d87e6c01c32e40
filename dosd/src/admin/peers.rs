//! `peers`: everybody who is registered, in pages, so that memory does not grow with their number.

use dos_protocol::{
    Timestamp,
    admin::{FromDosd, Registered},
    limits::PAGE_MAX,
};

use super::{Operator, Replies, Stop};
use crate::live::Hidden;

impl Operator {
    pub(super) async fn peers(&self, online: bool, replies: &mut Replies) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (mut page, last) = if online {
                let mut ids = self.directory.live.online(&Hidden::default(), after, page_size() + 1);
                ids.retain(|id| Some(*id) != after);
                let last = ids.last().copied();
                (self.directory.store.registered_of(ids).await?, last)
            } else {
                let page = self.directory.store.registered(after, PAGE_MAX).await?;
                let last = page.last().map(|peer| peer.id);
                (page, last)
            };
            after = last;
            if after.is_none() {
                return Ok(replies.send(FromDosd::Done).await?);
            }
            page.iter_mut().for_each(|peer| self.set_presence(peer));
            // Who has gone in the meantime is not online.
            page.retain(|peer| peer.online || !online);
            replies.send(FromDosd::Peers(page)).await?;
        }
    }

    pub(super) fn set_presence(&self, peer: &mut Registered) {
        if let Some(presence) = self.directory.live.presence_of(peer.id) {
            peer.online = true;
            peer.online_since = Some(presence.since);
            peer.address = presence.reach.address();
            peer.last_seen = Timestamp::now();
        }
    }
}

fn page_size() -> usize {
    usize::try_from(PAGE_MAX).unwrap_or(usize::MAX - 1)
}
