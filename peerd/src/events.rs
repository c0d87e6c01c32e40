//! Events, for watchers. A watcher that is too slow misses the oldest ones and learns how many.

use std::{collections::HashSet, sync::Arc};

use dos_protocol::{
    PeerId, Timestamp,
    control::{Event, EventKind},
};
use tokio::sync::broadcast;

/// Events kept for the slowest watcher.
const EVENTS_KEPT: usize = 1024;

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(EVENTS_KEPT).0)
    }
}

impl Events {
    /// Tells everybody who watches.
    pub(crate) fn tell(&self, at: Timestamp, what: EventKind) {
        // Without watchers there is nobody to tell.
        drop(self.0.send(Event::new(at, what)));
    }

    /// From now on.
    #[must_use]
    pub(crate) fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

/// Whom a watcher wants to hear of.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// Of everybody.
    Everybody,
    /// Of these.
    These(Arc<HashSet<PeerId>>),
}

impl Whom {
    /// Whether it has to do with them. What concerns this daemon's own session is for every watcher.
    pub(crate) fn are_concerned(&self, what: &EventKind) -> bool {
        let Self::These(peers) = self else { return true };
        let any = |ids: &[PeerId]| ids.iter().any(|id| peers.contains(id));
        match what {
            EventKind::Session(_) | EventKind::Notice(_) => true,
            EventKind::Grant(grant) | EventKind::Viewed { grant, .. } => {
                any(&[grant.path.owner, grant.viewer])
            }
            EventKind::Removed(path) | EventKind::Renamed { path, .. } | EventKind::Fetched(path) => {
                any(&[path.owner])
            }
            EventKind::Request(asked) | EventKind::Decision(asked) => any(&[asked.path.owner, asked.from]),
            EventKind::Image(image) => any(&[image.path.owner]),
            EventKind::Named { id, .. } | EventKind::Left { id, .. } => any(&[*id]),
            EventKind::Presence(presence) => any(&[presence.id]),
            EventKind::Message(message) => any(&[message.from]) || message.to.is_some_and(|to| any(&[to])),
            EventKind::Contact(contact) => any(&[contact.from]),
            EventKind::KeyChange(contact) => any(&[contact.id]),
            EventKind::Invite(invite) => invite.peer.is_none_or(|peer| any(&[peer])),
        }
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        control::SessionState,
        directory::{Notice, NoticeKind, Presence},
    };

    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    #[test]
    fn a_watcher_of_some_peers_receives_their_events_and_those_of_the_own_session() {
        let these = Whom::These(Arc::new([peer(1)].into()));
        let presence = |id| {
            EventKind::Presence(Presence {
                id,
                name: None,
                online: true,
                address: None,
                at: Timestamp(1),
                end: None,
            })
        };
        let image = |owner: PeerId| EventKind::Removed(format!("{owner}/sea").parse().unwrap());
        let notice = Notice { kind: NoticeKind::Announcement, text: "tea".into() };
        for (what, concerned) in [
            (presence(peer(1)), true),
            (presence(peer(2)), false),
            (image(peer(1)), true),
            (image(peer(2)), false),
            (EventKind::Session(SessionState::Online), true),
            (EventKind::Notice(notice), true),
        ] {
            assert_eq!(these.are_concerned(&what), concerned, "{what:?}");
            assert!(Whom::Everybody.are_concerned(&what));
        }
    }
}
