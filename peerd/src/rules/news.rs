//! What of all that happens is news: what a user wants to know of later, who was not watching.

use dos_protocol::{
    PeerId,
    control::EventKind,
    directory::{NoticeKind, RequestState},
};

use super::strangers::Strangers;

/// Events that are kept for `news`; the oldest ones go first. A person reads no more, and it is half a megabyte.
pub(crate) const KEPT_MAX: u32 = 2_000;

/// Whether it is news to `me`: what this peer has done itself is not, and neither is what passes.
pub(crate) fn is_news(me: PeerId, strangers: Strangers, what: &EventKind) -> bool {
    match what {
        EventKind::Grant(grant) => grant.viewer == me && !(grant.offer && strangers == Strangers::Refuse),
        EventKind::Viewed { grant, .. } => grant.viewer != me,
        EventKind::Removed(path) | EventKind::Renamed { path, .. } => path.owner != me,
        EventKind::Image(image) => image.path.owner != me,
        EventKind::Named { id, .. } | EventKind::Left { id, .. } => *id != me,
        EventKind::Request(request) => request.from != me,
        EventKind::Decision(request) => request.from == me && request.state != RequestState::Cancelled,
        EventKind::Message(message) => message.from != me,
        EventKind::Contact(_) | EventKind::KeyChange(_) | EventKind::Invite(_) => true,
        EventKind::Notice(notice) => notice.kind == NoticeKind::Announcement,
        EventKind::Session(_) | EventKind::Presence(_) | EventKind::Fetched(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        control::{ImageChange, ImageChanged, SessionState},
        directory::{Notice, ViewedKind},
        model::Grant,
    };

    use super::{
        super::samples::{alice, bob, grant, request},
        *,
    };

    #[test]
    fn what_others_do_is_news_and_what_one_does_oneself_is_not() {
        // Alice's image, and Bob views it.
        let (owner, viewer) = (alice(), bob());
        let shared = |offer| EventKind::Grant(Box::new(Grant { offer, ..grant(1) }));
        let viewed = EventKind::Viewed { views: 1, kind: ViewedKind::View, grant: Box::new(grant(1)) };
        let removed = EventKind::Removed(grant(1).path);
        let renamed =
            EventKind::Renamed { path: grant(1).path, was: "dawn".parse().unwrap(), owner_name: None };
        let (path, change) = (grant(1).path, ImageChanged::Added);
        let image = EventKind::Image(Box::new(ImageChange { path, owner_name: None, change, was: None }));
        let asked = |state| EventKind::Request(Box::new(request(1, state)));
        let answer = |state| EventKind::Decision(Box::new(request(1, state)));
        let notice = |kind| EventKind::Notice(Notice { kind, text: "tea".into() });
        for (what, to_owner, to_viewer) in [
            (shared(false), false, true),
            (shared(true), false, true),
            (viewed, true, false),
            (removed, false, true),
            (renamed, false, true),
            (image, false, true),
            (EventKind::Named { id: owner, name: "alicia".parse().unwrap(), was: None }, false, true),
            (EventKind::Left { id: owner, name: None }, false, true),
            (asked(RequestState::Pending), true, false),
            (asked(RequestState::Cancelled), true, false),
            (answer(RequestState::Approved), false, true),
            (answer(RequestState::Denied), false, true),
            (answer(RequestState::Cancelled), false, false),
            (notice(NoticeKind::Announcement), true, true),
            (notice(NoticeKind::Shutdown), false, false),
            (EventKind::Session(SessionState::Online), false, false),
        ] {
            assert_eq!(is_news(owner, Strangers::Offer, &what), to_owner, "{what:?}");
            assert_eq!(is_news(viewer, Strangers::Offer, &what), to_viewer, "{what:?}");
        }
        assert!(is_news(viewer, Strangers::Refuse, &shared(false)));
        assert!(!is_news(viewer, Strangers::Refuse, &shared(true)), "it is listed nowhere");
    }
}
