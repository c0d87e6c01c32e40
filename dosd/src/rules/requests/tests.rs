//! Every state of a request and every way out of it.

use dos_protocol::{Allowance, Code};

use super::{super::samples::*, *};

const BLOCKED: Between = Between { by_other: true, by_actor: false };

fn deciding(found: Found, grant: Option<GrantRecord>) -> Deciding {
    Deciding { found, grant, between: Between::default() }
}

fn pending() -> RequestRecord {
    RequestRecord {
        request: 11,
        image: image().no,
        owner: alice(),
        viewer: bob(),
        views: 2,
        state: RequestState::Pending,
        note: Some("please".into()),
        reason: None,
        created_at: Timestamp(5),
        decided_at: None,
        revision: 4,
        offline: false,
    }
}

fn owner() -> PeerRecord {
    PeerRecord { id: alice(), name: scope().owner_name, ..record() }
}

fn requesting(pending: Option<RequestRecord>) -> Requesting {
    Requesting {
        viewer: bob(),
        owner: owner(),
        between: Between::default(),
        waiting: Waiting::default(),
        quotas: Quotas::default(),
        scope: Ok(scope()),
        pending,
        pending_count: 0,
        fresh_number: 12,
    }
}

fn wanted(views: u32) -> Wanted {
    Wanted { views, note: Some("more".into()), offline: true }
}

fn owed(record: &RequestRecord, update: fn(Box<Request>) -> Update) -> [Owe; 2] {
    [alice(), bob()].map(|peer| Owe::to(peer, update(Box::new(record.snapshot(&scope())))))
}

#[test]
fn a_request_is_new_or_changes_the_pending_one() {
    let fresh = RequestRecord {
        request: 12,
        views: 7,
        note: Some("more".into()),
        created_at: NOW,
        revision: 1,
        offline: true,
        ..pending()
    };
    let changed =
        RequestRecord { views: 7, note: Some("more".into()), revision: 5, offline: true, ..pending() };
    for (old, expected) in [(None, fresh), (Some(pending()), changed)] {
        let decided = request(requesting(old), wanted(7), NOW).unwrap();
        assert_eq!(decided.state, expected);
        assert_eq!(decided.answer, expected.snapshot(&scope()));
        let [to_owner, to_viewer] = owed(&expected, Update::Request);
        assert_eq!(decided.owed, [to_owner.caused_by(bob(), Cause::Request), to_viewer]);
    }
}

#[test]
fn a_request_as_it_travels_has_everything() {
    let expected = Request {
        request: 11,
        image: image().no,
        path: scope().image.path,
        owner_name: scope().owner_name,
        from: bob(),
        from_name: scope().viewer_name,
        views: 2,
        state: RequestState::Pending,
        note: Some("please".into()),
        reason: None,
        created_at: Timestamp(5),
        decided_at: None,
        revision: 4,
        offline: true,
    };
    assert_eq!(RequestRecord { offline: true, ..pending() }.snapshot(&scope()), expected);
}

#[test]
fn impossible_and_unwelcome_requests_are_refused() {
    let full = Waiting { letters: 1_000, all: 1_000, ..Waiting::default() };
    let rows = Waiting { row_bytes: u64::MAX, ..Waiting::default() };
    let no_image = Err(not_found("there is no image"));
    let base = || requesting(None);
    let many = |count| Requesting { pending_count: count, ..base() };
    for (state, views, expected) in [
        (Requesting { viewer: alice(), ..base() }, 1, (Code::Invalid, None)),
        (base(), 0, (Code::Invalid, None)),
        (base(), VIEWS_MAX + 1, (Code::Invalid, None)),
        (Requesting { between: BLOCKED, ..base() }, 1, (Code::Denied, Some(Reason::Blocked))),
        (Requesting { waiting: full, ..base() }, 1, (Code::Denied, Some(Reason::Limit))),
        (Requesting { waiting: rows, ..base() }, 1, (Code::Denied, Some(Reason::Limit))),
        (Requesting { scope: no_image, ..base() }, 1, (Code::NotFound, None)),
        (many(100), 1, (Code::Denied, Some(Reason::Limit))),
        (many(101), 1, (Code::Denied, Some(Reason::Limit))),
    ] {
        let told = format!("{state:?} {views}");
        let error = request(state, wanted(views), NOW).unwrap_err();
        assert_eq!((error.code, error.reason), expected, "{told}");
    }
    for views in [1, VIEWS_MAX] {
        assert!(request(many(99), wanted(views), NOW).is_ok());
    }
    let changed = Requesting { pending: Some(pending()), ..many(100) };
    assert!(request(changed, wanted(1), NOW).is_ok(), "one that is pending can be changed");
}

fn ended(state: RequestState) -> RequestRecord {
    RequestRecord { state, decided_at: Some(NOW), revision: 5, ..pending() }
}

#[test]
fn a_pending_request_is_withdrawn_once_by_its_viewer() {
    let cancelled = ended(RequestState::Cancelled);
    let decided = cancel(Some((pending(), scope())), bob(), 11, NOW).unwrap();
    assert_eq!(decided.state, Some(cancelled.clone()));
    assert_eq!(decided.answer, cancelled.snapshot(&scope()));
    assert_eq!(decided.owed, owed(&cancelled, Update::Request));
    let again = cancel(Some((cancelled.clone(), scope())), bob(), 11, Timestamp(NOW.0 + 1)).unwrap();
    let expected = Decided { state: None, answer: cancelled.snapshot(&scope()), owed: Vec::new() };
    assert_eq!(again, expected);
    for (found, viewer, code, text) in [
        (None, bob(), Code::NotFound, "there is no request 11 of yours"),
        (Some(pending()), alice(), Code::NotFound, "there is no request 11 of yours"),
        (Some(ended(RequestState::Approved)), bob(), Code::Conflict, "request 11 is approved already"),
        (Some(ended(RequestState::Denied)), bob(), Code::Conflict, "request 11 is denied already"),
    ] {
        let error = cancel(found.map(|record| (record, scope())), viewer, 11, NOW).unwrap_err();
        assert_eq!((error.code, &*error.message), (code, text));
    }
}

#[test]
fn across_a_block_nothing_is_requested_or_answered() {
    let blocking = Between { by_other: false, by_actor: true };
    for between in [BLOCKED, blocking] {
        let error = request(Requesting { between, ..requesting(None) }, wanted(3), NOW).unwrap_err();
        assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Blocked)), "{between:?}");
        for decision in [approve(None), Decision::Deny { reason: Some("a text".into()) }] {
            let state = Deciding { between, ..deciding(Some((pending(), scope())), None) };
            let error = decide(state, alice(), (11, decision), NOW).unwrap_err();
            assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Blocked)), "{between:?}");
        }
    }
}

fn approve(views: Option<u32>) -> Decision {
    Decision::Approve { views, key: key(8), allow_offline: None }
}

fn decided(
    old: Option<GrantRecord>,
    decision: Decision,
) -> Result<Decided<Settled, Request>, (Code, Option<Reason>)> {
    let found = Some((pending(), scope()));
    decide(deciding(found, old), alice(), (11, decision), NOW).map_err(|error| (error.code, error.reason))
}

#[test]
fn an_approval_gives_what_was_requested_or_what_the_owner_says() {
    for (views, left) in [(None, 7), (Some(1), 6), (Some(9), 14)] {
        let decided = decided(Some(grant()), approve(views)).unwrap();
        let record = RequestRecord { views: left - 5, ..ended(RequestState::Approved) };
        let grant = GrantRecord { views_left: Allowance::Views(left), revision: 10, ..grant() }.settled();
        let mut expected = grants::owe_both(&grant.snapshot(&scope()));
        expected.extend(owed(&record, Update::Decision));
        assert_eq!(decided.state, (record.clone(), Some(grant)));
        assert_eq!(decided.answer, record.snapshot(&scope()));
        assert_eq!(decided.owed, expected);
    }
    let (_, first) = decided(None, approve(None)).unwrap().state;
    assert_eq!(first.unwrap().split, key(8).split);
}

#[test]
fn an_approval_allows_checkouts_only_if_the_owner_says_so() {
    let silent = || GrantRecord { allow_offline: false, ..grant() };
    for (old, asked, allow_offline, expected) in [
        (Some(silent()), true, None, false),
        (Some(silent()), false, Some(true), true),
        (Some(grant()), false, None, true),
        (Some(grant()), true, Some(false), false),
        (None, true, None, false),
        (None, true, Some(true), true),
    ] {
        let found = Some((RequestRecord { offline: asked, ..pending() }, scope()));
        let decision = Decision::Approve { views: None, key: key(8), allow_offline };
        let settled = decide(deciding(found, old), alice(), (11, decision), NOW).unwrap();
        let (record, grant) = settled.state;
        assert_eq!((grant.unwrap().allow_offline, record.offline), (expected, asked), "{allow_offline:?}");
    }
}

#[test]
fn an_approval_is_for_1_to_the_largest_number_of_views() {
    for (views, expected) in [
        (0, Err((Code::Invalid, None))),
        (1, Ok(())),
        (VIEWS_MAX, Ok(())),
        (VIEWS_MAX + 1, Err((Code::Invalid, None))),
    ] {
        assert_eq!(decided(None, approve(Some(views))).map(drop), expected, "{views}");
    }
}

#[test]
fn a_denial_gives_nothing() {
    let decided = decided(Some(grant()), Decision::Deny { reason: Some("no".into()) }).unwrap();
    let record = RequestRecord { reason: Some("no".into()), ..ended(RequestState::Denied) };
    assert_eq!(decided.state, (record.clone(), None));
    assert_eq!(decided.owed, owed(&record, Update::Decision));
}

#[test]
fn only_the_owner_decides_and_only_once() {
    let deny = || Decision::Deny { reason: None };
    for (found, peer, code, text) in [
        (None, alice(), Code::NotFound, "there is no request 11 of yours"),
        (Some(pending()), bob(), Code::NotFound, "there is no request 11 of yours"),
        (Some(ended(RequestState::Approved)), alice(), Code::Conflict, "request 11 is approved already"),
        (Some(ended(RequestState::Cancelled)), alice(), Code::Conflict, "request 11 is cancelled already"),
    ] {
        let found = found.map(|record| (record, scope()));
        let error = decide(deciding(found, None), peer, (11, deny()), NOW).unwrap_err();
        assert_eq!((error.code, &*error.message), (code, text));
    }
}

#[test]
fn a_block_denies_what_is_pending_and_a_forgotten_viewer_withdraws_it() {
    let denied = ended(RequestState::Denied);
    assert_eq!(deny_all(vec![(pending(), scope())], NOW), owed(&denied, Update::Decision));
    let [to_owner, _] = owed(&ended(RequestState::Cancelled), Update::Request);
    let withdrawn = cancel_all(vec![(pending(), scope())], NOW);
    assert_eq!(withdrawn.iter().map(|owe| owe.peer).collect::<Vec<_>>(), [alice(), bob()]);
    let is_withdrawn = |owe: &Owe| match &owe.update {
        Update::Request(request) => request.state == RequestState::Cancelled && request.revision == 5,
        _ => false,
    };
    assert!(withdrawn.iter().all(is_withdrawn));
    assert_eq!(withdraw_all(vec![(pending(), scope())], NOW), [to_owner]);
}

#[test]
fn a_text_has_at_most_1024_bytes() {
    assert_eq!(check_text(None), Ok(()));
    assert_eq!(check_text(Some(&"x".repeat(1024))), Ok(()));
    let error = check_text(Some(&"x".repeat(1025))).unwrap_err();
    assert_eq!((error.code, &*error.message), (Code::Invalid, "a text has at most 1024 bytes"));
}

fn remembered(known: Option<RequestRecord>) -> Remembered {
    Remembered {
        scope: Some(scope()),
        known: known.map(|record| (record, scope())),
        pending: None,
        newest: None,
        pending_count: 0,
        between: Between::default(),
        last: 11,
    }
}

/// Revision 6 of the sample request.
fn told(state: RequestState) -> Request {
    let decided_at = (state != RequestState::Pending).then_some(Timestamp(8));
    let texts = (Some("told note".into()), Some("told reason".into()));
    RequestRecord { state, decided_at, views: 3, note: texts.0, reason: texts.1, revision: 6, ..pending() }
        .snapshot(&scope())
}

#[test]
fn a_pending_request_takes_the_newer_state_that_either_side_asserts() {
    use RequestState::{Approved, Cancelled, Denied, Pending};
    for (state, update) in [
        (Pending, Update::Request as fn(_) -> _),
        (Cancelled, Update::Request),
        (Approved, Update::Decision),
        (Denied, Update::Decision),
    ] {
        let decided_at = (state != Pending).then_some(Timestamp(8));
        let next = RequestRecord { state, decided_at, views: 3, revision: 6, ..pending() };
        for (caller, expected) in [
            (alice(), RequestRecord { reason: Some("told reason".into()), ..next.clone() }),
            (bob(), RequestRecord { note: Some("told note".into()), ..next.clone() }),
        ] {
            let decided = assert(remembered(Some(pending())), caller, &told(state));
            let restored = Restored { record: expected.clone(), replaces: None };
            assert_eq!(decided.state, Some(restored), "{state:?} by {caller}");
            assert_eq!(
                (decided.answer, decided.owed),
                (Asserted::Confirmed, owed(&expected, update).to_vec())
            );
        }
    }
}

#[test]
fn an_asserted_request_that_is_no_newer_or_was_answered_changes_nothing() {
    let ended = RequestRecord { state: RequestState::Denied, ..pending() };
    let newer = RequestRecord { revision: 6, ..pending() };
    for known in [ended, newer] {
        let decided = assert(remembered(Some(known)), bob(), &told(RequestState::Cancelled));
        assert_eq!((decided.state, decided.answer), (None, Asserted::Confirmed));
    }
}

#[test]
fn a_lost_request_comes_back_from_its_viewer_alone_or_answered_as_the_last_one() {
    use RequestState::{Approved, Cancelled, Denied, Pending};
    let back = |state, replaces| {
        let decided_at = (state != Pending).then_some(Timestamp(8));
        let note = Some("told note".into());
        let record = RequestRecord { views: 3, note, revision: 6, state, decided_at, ..pending() };
        (Some(Restored { record, replaces }), Asserted::Confirmed)
    };
    let nothing = |answer| (None, answer);
    for (caller, state, newest, expected) in [
        (bob(), Pending, None, back(Pending, None)),
        (bob(), Pending, Some((5, Denied)), back(Pending, None)),
        (alice(), Pending, None, nothing(Asserted::Missing)),
        (bob(), Denied, None, back(Denied, None)),
        (alice(), Denied, None, back(Denied, None)),
        (alice(), Approved, Some((5, Denied)), back(Approved, Some(5))),
        (bob(), Cancelled, Some((5, Approved)), back(Cancelled, Some(5))),
        (bob(), Denied, Some((12, Approved)), nothing(Asserted::Confirmed)),
        (bob(), Denied, Some((5, Pending)), nothing(Asserted::Confirmed)),
    ] {
        let decided = assert(Remembered { newest, ..remembered(None) }, caller, &told(state));
        assert_eq!((decided.state, decided.answer), expected, "{caller} {state:?} {newest:?}");
    }
    // What stands in the way may be over as soon as others have told what they know, or not.
    for (state, expected) in [
        (Remembered { between: BLOCKED, ..remembered(None) }, Asserted::Missing),
        (Remembered { pending: Some(pending()), ..remembered(None) }, Asserted::Missing),
        (Remembered { pending_count: REQUESTS_PENDING_MAX, ..remembered(None) }, Asserted::Refused),
        (Remembered { last: 10, ..remembered(None) }, Asserted::Refused),
    ] {
        let decided = assert(state, bob(), &told(Pending));
        assert_eq!((decided.state, decided.answer), (None, expected));
    }
}

#[test]
fn an_impossible_or_alien_request_is_refused() {
    use RequestState::Pending;
    let sound = || told(Pending);
    let alien = RequestRecord { viewer: carol(), ..pending() };
    let elsewhere = RequestRecord { image: ImageNo(8), ..pending() };
    let path = |owner| dos_protocol::ImagePath { owner, ..sound().path };
    for (state, caller, told) in [
        (remembered(None), bob(), Request { views: 0, ..sound() }),
        (remembered(None), bob(), Request { views: VIEWS_MAX + 1, ..sound() }),
        (remembered(None), bob(), Request { request: 0, ..sound() }),
        (remembered(None), bob(), Request { revision: u64::MAX, ..sound() }),
        (remembered(None), bob(), Request { note: Some("x".repeat(1_025).into()), ..sound() }),
        (remembered(None), bob(), Request { reason: Some("x".repeat(1_025).into()), ..sound() }),
        (remembered(None), carol(), sound()),
        (remembered(None), bob(), Request { path: path(carol()), ..sound() }),
        (remembered(Some(alien)), bob(), sound()),
        (remembered(Some(elsewhere)), bob(), sound()),
    ] {
        let decided = assert(state, caller, &told);
        assert_eq!((decided.state, decided.answer), (None, Asserted::Refused), "{told:?}");
    }
    let gone = Remembered { scope: None, ..remembered(None) };
    assert_eq!(assert(gone, bob(), &sound()).answer, Asserted::Missing);
}
