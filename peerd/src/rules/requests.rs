//! Requests for access: which of two states is the newer, and what becomes of one whose image is gone.

use dos_protocol::{
    PeerId,
    directory::{Request, RequestState},
};

/// Why a request is denied whose image is gone.
const REMOVED: &str = "the image was removed";

/// Whether a state of a request is newer than the one known.
pub(crate) fn is_newer(known: Option<u64>, new: &Request) -> bool {
    known.is_none_or(|known| known < new.revision)
}

/// Whether `me` decides it.
pub(crate) fn is_incoming(me: Option<PeerId>, request: &Request) -> bool {
    me == Some(request.path.owner)
}

/// The other side: the peer that asks, or the owner.
pub(crate) fn other_side(me: Option<PeerId>, request: &Request) -> PeerId {
    if is_incoming(me, request) { request.from } else { request.path.owner }
}

/// Whether it waits for an answer.
pub(crate) fn is_pending(request: &Request) -> bool {
    request.state == RequestState::Pending
}

/// The request after its image was removed; `None` if that changes nothing. It keeps its revision, so that a state that the
/// directory reports later is still the newer one.
pub(crate) fn without_image(request: Request) -> Option<Request> {
    is_pending(&request).then(|| Request {
        state: RequestState::Denied,
        reason: Some(REMOVED.into()),
        ..request
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::samples::{alice, bob, request},
        *,
    };

    #[test]
    fn a_state_counts_only_if_its_revision_is_higher() {
        let new = request(5, RequestState::Pending);
        for (known, newer) in [(None, true), (Some(4), true), (Some(5), false), (Some(6), false)] {
            assert_eq!(is_newer(known, &new), newer, "{known:?}");
        }
        assert!(is_newer(None, &request(0, RequestState::Pending)));
    }

    #[test]
    fn an_owner_decides_and_each_side_knows_the_other() {
        let asked = request(1, RequestState::Pending);
        for (me, incoming, other) in
            [(Some(alice()), true, bob()), (Some(bob()), false, alice()), (None, false, alice())]
        {
            assert_eq!(is_incoming(me, &asked), incoming, "{me:?}");
            assert_eq!(other_side(me, &asked), other, "{me:?}");
        }
    }

    #[test]
    fn a_pending_request_for_a_removed_image_is_denied_and_an_answered_one_stays() {
        let denied = Request {
            state: RequestState::Denied,
            reason: Some("the image was removed".into()),
            ..request(3, RequestState::Pending)
        };
        assert_eq!(without_image(request(3, RequestState::Pending)), Some(denied));
        for state in [RequestState::Approved, RequestState::Denied, RequestState::Cancelled] {
            assert_eq!(without_image(request(3, state)), None, "{state:?}");
        }
    }
}
