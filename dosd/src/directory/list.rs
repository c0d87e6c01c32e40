//! `list`, `newest` and `resolve`: peers, where they are, and their images.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    PeerId, Timestamp,
    directory::{Answer, List, Newest, NewestPage},
    limits::PAGE_MAX,
    model::{PeerInfo, PeerRef},
};

use super::Directory;
use crate::{
    live::Hidden,
    rules::names::was_seen,
    store::{PageQuery, Peers, Refusal},
};

impl Directory {
    pub(super) async fn list(&self, caller: PeerId, list: List) -> Result<Answer, Refusal> {
        let limit = list.limit.clamp(1, PAGE_MAX);
        let from = list.after.as_ref().map(|cursor| cursor.peer);
        let enough = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(2);
        let hidden = self.live.hidden_from(caller);
        let within = list.seen_within_ms.map(|within| Timestamp::now().before(Duration::from_millis(within)));
        let mut peers = match (&list.peer, list.online, within.or(list.seen_since)) {
            (Some(peer), ..) => Peers::These(vec![self.find(Some(caller), peer).await?.id]),
            (None, true, _) => Peers::These(self.live.online(&hidden, from, enough)),
            (None, false, Some(since)) => {
                // Presence is looked up for one peer after the other, so that the IDs of all online are not copied for every page.
                let (live, hidden) = (Arc::clone(&self.live), hidden.clone());
                Peers::Passing(Arc::new(move |peer, seen| {
                    was_seen(since, seen, hidden.contains(peer), || live.is_online(peer))
                }))
            }
            (None, false, None) => Peers::All,
        };
        if let (Peers::These(ids), true) = (&mut peers, list.online) {
            ids.retain(|id| !hidden.contains(*id) && self.live.is_online(*id));
        }
        let mut page = self.store.page(PageQuery { caller, peers, after: list.after, limit }).await?;
        for peer in &mut page.peers {
            self.set_presence(peer, &hidden);
        }
        Ok(Answer::Page(page))
    }

    pub(super) async fn newest(&self, caller: PeerId, query: Newest) -> Result<Answer, Refusal> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        let owner = match &query.peer {
            Some(peer) => Some(self.find(Some(caller), peer).await?.id),
            None => None,
        };
        let (mut peers, before) = self.store.newest(caller, owner, (query.before, limit)).await?;
        let hidden = self.live.hidden_from(caller);
        for peer in &mut peers {
            self.set_presence(peer, &hidden);
        }
        Ok(Answer::Newest(NewestPage { peers, before }))
    }

    pub(super) async fn resolve(&self, caller: PeerId, peer: &PeerRef) -> Result<Answer, Refusal> {
        let mut info = self.find(Some(caller), peer).await?.info();
        self.set_presence(&mut info, &self.live.hidden_from(caller));
        Ok(Answer::Peer(Box::new(info)))
    }

    pub(super) fn set_presence(&self, peer: &mut PeerInfo, hidden: &Hidden) {
        if hidden.contains(peer.id) {
            conceal(peer);
        } else if let Some(presence) = self.live.presence_of(peer.id) {
            peer.online = true;
            peer.address = presence.reach.address();
            peer.last_seen = Some(Timestamp::now());
            peer.online_since = Some(presence.since);
            peer.last_end = None;
        }
    }
}

/// Takes away when and where a peer was or is online.
pub(super) fn conceal(peer: &mut PeerInfo) {
    peer.online = false;
    peer.address = None;
    peer.last_seen = None;
    peer.online_since = None;
    peer.last_end = None;
}
