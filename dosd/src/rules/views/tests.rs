//! Every way in which views are spent and given back, exactly.

use dos_protocol::Code;

use super::{super::samples::*, *};

fn view() -> ViewId {
    ViewId::from([6; 16])
}

fn one() -> Spend {
    Spend {
        image: image().no,
        view: view(),
        views: 1,
        kind: SpendKind::View,
        split: grant().split,
        sealed: image().sealed.hash,
    }
}

fn standing(grant: GrantRecord) -> Spending {
    Spending { scope: Some(scope()), grant: Some(grant), earlier: None }
}

fn spent() -> ViewRecord {
    ViewRecord {
        image: image().no,
        viewer: bob(),
        views: 1,
        kind: SpendKind::View,
        returned: None,
        closed: false,
    }
}

fn left(views_left: Allowance) -> GrantRecord {
    GrantRecord { views_left, ..grant() }.settled()
}

fn revoked() -> GrantRecord {
    GrantRecord { share: None, views_left: Allowance::Views(0), ..grant() }.settled()
}

#[test]
fn views_are_counted_down_and_the_owner_gets_a_receipt() {
    use Allowance::{Unlimited, Views};
    for (before, views, kind, after, told) in [
        (Views(5), 1, SpendKind::View, Views(4), ViewedKind::View),
        (Views(5), 5, SpendKind::Checkout, Views(0), ViewedKind::Checkout),
        (Views(1), 1, SpendKind::View, Views(0), ViewedKind::View),
        (Unlimited, VIEWS_MAX, SpendKind::Checkout, Unlimited, ViewedKind::Checkout),
    ] {
        let decided = spend(standing(left(before)), &Spend { views, kind, ..one() }, NOW).unwrap();
        let counted = GrantRecord {
            views_used: 3 + u64::from(views),
            revision: 10,
            granted: left(before).granted,
            ..left(after)
        };
        let record = ViewRecord { views, kind, ..spent() };
        assert_eq!(decided.state, Some((counted.clone(), record)));
        let snapshot = counted.snapshot(&scope());
        assert_eq!(decided.answer, Spent { share: [4; 32], grant: snapshot.clone() });
        let viewed = Viewed { view: view(), views, kind: told, grant: snapshot };
        assert_eq!(decided.owed, [Owe::to(alice(), Update::Viewed(Box::new(viewed)))]);
    }
}

#[test]
fn the_same_view_again_counts_nothing() {
    let again = |grant, earlier| {
        spend(Spending { earlier: Some(earlier), ..standing(grant) }, &one(), NOW)
            .map_err(|error| (error.code, error.reason))
    };
    let used_up = left(Allowance::Views(0));
    let later = GrantRecord { expires_at: Some(Timestamp(NOW.0 + 1)), ..grant() };
    for grant in [grant(), used_up, later] {
        let decided = again(grant.clone(), spent()).unwrap();
        assert_eq!(decided.state, None);
        assert_eq!(decided.answer, Spent { share: [4; 32], grant: grant.snapshot(&scope()) });
        assert_eq!(decided.owed, []);
    }
    let denied = |reason| Err((Code::Denied, Some(reason)));
    assert_eq!(again(revoked(), spent()), denied(Reason::Revoked));
    for at in [Timestamp(0), NOW] {
        let ended = GrantRecord { expires_at: Some(at), ..grant() };
        assert_eq!(again(ended.clone(), spent()), denied(Reason::Expired), "{at:?}");
        let used_up = GrantRecord { views_left: Allowance::Views(0), ..ended };
        assert_eq!(again(used_up, spent()), denied(Reason::Expired), "{at:?}");
    }
    let other = ViewRecord { image: ImageNo(8), ..spent() };
    assert_eq!(again(grant(), other), Err((Code::Invalid, None)));
    let other = ViewRecord { viewer: carol(), closed: true, ..spent() };
    assert_eq!(again(grant(), other), Err((Code::Invalid, None)));
}

#[test]
fn a_view_that_is_over_gets_the_share_no_more() {
    let again = |earlier| {
        let state = Spending { earlier: Some(earlier), ..standing(grant()) };
        spend(state, &one(), NOW).map_err(|error| (error.reason, error.message))
    };
    let over = |text: &str| Err((Some(Reason::ViewClosed), text.into()));
    assert_eq!(again(ViewRecord { closed: true, ..spent() }), over("that view is over"));
    for (returned, closed) in [(0, false), (2, false), (2, true)] {
        let checkout = ViewRecord { returned: Some(returned), closed, ..checked_out() };
        assert_eq!(again(checkout), over("the views of that checkout were returned"));
    }
    assert!(again(checked_out()).is_ok());
    let closed = ViewRecord { closed: true, ..checked_out() };
    assert_eq!(again(closed.clone()), over("that view is over"));
    // Its unused views can still be returned.
    let state = Returning { checkout: Some(closed), ..returning(grant()) };
    assert_eq!(checkin(state, bob(), &back(2)).unwrap().answer.views_left, Allowance::Views(7));
}

#[test]
fn a_viewer_closes_its_own_views_once() {
    for view in [spent(), checked_out(), ViewRecord { returned: Some(1), ..checked_out() }] {
        let closed = ViewRecord { closed: true, ..view.clone() };
        assert_eq!(close(Some(view.clone()), bob()), Some(closed.clone()));
        assert_eq!(close(Some(closed), bob()), None);
        assert_eq!(close(Some(view), carol()), None);
    }
    assert_eq!(close(None, bob()), None);
}

#[test]
fn a_report_of_closed_views_is_bounded() {
    assert_eq!(check_closing(0), Ok(()));
    assert_eq!(check_closing(VIEWS_CLOSED_MAX), Ok(()));
    assert_eq!(check_closing(VIEWS_CLOSED_MAX + 1).unwrap_err().code, Code::Invalid);
}

#[test]
fn checkouts_need_the_owners_consent_and_views_do_not() {
    let spent = |allow_offline, kind| {
        let state = standing(GrantRecord { allow_offline, ..grant() });
        spend(state, &Spend { kind, ..one() }, NOW).map(drop).map_err(|error| (error.code, error.reason))
    };
    let refused = Err((Code::Denied, Some(Reason::NotOffline)));
    assert_eq!(spent(true, SpendKind::Checkout), Ok(()));
    assert_eq!(spent(false, SpendKind::Checkout), refused);
    assert_eq!(spent(true, SpendKind::View), Ok(()));
    assert_eq!(spent(false, SpendKind::View), Ok(()));
    // A checkout that was made before stays one.
    let earlier = Some(checked_out());
    let state = Spending { earlier, ..standing(GrantRecord { allow_offline: false, ..grant() }) };
    assert!(spend_checkout(state).is_ok());
}

fn spend_checkout(state: Spending) -> Result<Decided<Counted, Spent>, WireError> {
    spend(state, &Spend { kind: SpendKind::Checkout, views: 3, ..one() }, NOW)
}

#[test]
fn what_may_not_be_viewed_is_refused_with_its_reason() {
    let denied = |reason| (Code::Denied, Some(reason));
    let ended = |at| GrantRecord { expires_at: Some(at), ..grant() };
    let other_split = Spend { split: [9; 16].into(), ..one() };
    let other_copy = Spend { sealed: [9; 32].into(), ..one() };
    for (state, change, expected) in [
        (Spending { scope: None, ..standing(grant()) }, one(), denied(Reason::Revoked)),
        (Spending { grant: None, ..standing(grant()) }, one(), denied(Reason::NeverGranted)),
        (standing(revoked()), one(), denied(Reason::Revoked)),
        (standing(ended(NOW)), one(), denied(Reason::Expired)),
        (standing(left(Allowance::Views(0))), one(), denied(Reason::UsedUp)),
        (standing(grant()), Spend { views: 6, ..one() }, denied(Reason::UsedUp)),
        (standing(grant()), other_split, (Code::Stale, None)),
        (standing(grant()), other_copy, (Code::Stale, None)),
        (standing(grant()), Spend { views: 0, ..one() }, (Code::Invalid, None)),
        (
            standing(left(Allowance::Unlimited)),
            Spend { views: VIEWS_MAX + 1, ..one() },
            (Code::Invalid, None),
        ),
    ] {
        let told = format!("{state:?} {change:?}");
        let error = spend(state, &change, NOW).unwrap_err();
        assert_eq!((error.code, error.reason), expected, "{told}");
    }
    let later = Timestamp(NOW.0 + 1);
    assert!(spend(standing(ended(later)), &one(), NOW).is_ok());
}

fn back(unused: u32) -> Checkin {
    Checkin { image: image().no, checkout: view(), unused, given_up: 0 }
}

fn checked_out() -> ViewRecord {
    ViewRecord { views: 3, kind: SpendKind::Checkout, ..spent() }
}

fn returning(grant: GrantRecord) -> Returning {
    Returning { checkout: Some(checked_out()), scope: Some(scope()), grant: Some(grant), owner_knows: true }
}

#[test]
fn unused_views_come_back_up_to_the_largest_number_and_never_to_a_revoked_grant() {
    use Allowance::{Unlimited, Views};
    for (before, unused, after) in [
        (left(Views(5)), 0, left(Views(5))),
        (left(Views(5)), 2, left(Views(7))),
        (left(Views(5)), 3, left(Views(8))),
        (left(Views(VIEWS_MAX - 1)), 1, left(Views(VIEWS_MAX))),
        (left(Views(VIEWS_MAX - 1)), 3, left(Views(VIEWS_MAX))),
        (left(Unlimited), 3, left(Unlimited)),
        (revoked(), 3, revoked()),
    ] {
        let decided = checkin(returning(before.clone()), bob(), &back(unused)).unwrap();
        let (used, returned) = (3 - u64::from(unused), 2 + u64::from(unused));
        // What was granted stays so, unless less of it comes back than was checked out.
        let after = GrantRecord { views_used: used, returned, revision: 10, ..after }.settled();
        assert_eq!(decided.state, Some(after.clone()), "{before:?}");
        let snapshot = after.snapshot(&scope());
        assert_eq!(decided.answer, snapshot);
        let viewed = Viewed { view: view(), views: unused, kind: ViewedKind::Checkin, grant: snapshot };
        assert_eq!(decided.owed, [Owe::to(alice(), Update::Viewed(Box::new(viewed)))]);
    }
    let odd = GrantRecord { views_used: 1, ..grant() };
    let decided = checkin(returning(odd), bob(), &back(3)).unwrap();
    assert_eq!(decided.answer.views_used, 0, "a count never falls below zero");
}

#[test]
fn views_of_a_state_that_was_put_back_are_given_up_and_stay_used() {
    for (owner_knows, views, kind) in [(true, 2, ViewedKind::GivenUp), (false, 0, ViewedKind::Checkin)] {
        let state = Returning { owner_knows, ..returning(grant()) };
        let decided = checkin(state, bob(), &Checkin { given_up: 2, ..back(0) }).unwrap();
        let after = GrantRecord { revision: 10, ..grant() };
        assert_eq!(decided.state, Some(after.clone()));
        let viewed = Viewed { view: view(), views, kind, grant: after.snapshot(&scope()) };
        assert_eq!(decided.owed, [Owe::to(alice(), Update::Viewed(Box::new(viewed)))], "{owner_knows}");
    }
    for (unused, given_up) in [(0, 4), (2, 2), (1, u32::MAX)] {
        let error = checkin(returning(grant()), bob(), &Checkin { given_up, ..back(unused) }).unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{unused} {given_up}");
    }
}

#[test]
fn more_views_than_were_checked_out_never_come_back() {
    let error = checkin(returning(grant()), bob(), &back(4)).unwrap_err();
    assert_eq!((error.code, &*error.message), (Code::Invalid, "more views than were checked out"));
    let error = checkin(returning(grant()), bob(), &back(u32::MAX)).unwrap_err();
    assert_eq!(error.code, Code::Invalid);
}

#[test]
fn views_come_back_once() {
    for returned in [0, 2] {
        let checkout = ViewRecord { returned: Some(returned), ..checked_out() };
        let state = Returning { checkout: Some(checkout), ..returning(grant()) };
        // Also with a number that would be refused the first time.
        let decided = checkin(state, bob(), &back(4)).unwrap();
        let expected = Decided { state: None, answer: grant().snapshot(&scope()), owed: Vec::new() };
        assert_eq!(decided, expected);
    }
}

#[test]
fn a_checkout_is_found_by_its_viewer_image_and_kind_alone() {
    let with = |checkout| Returning { checkout, ..returning(grant()) };
    for state in [
        with(None),
        with(Some(ViewRecord { viewer: carol(), ..checked_out() })),
        with(Some(ViewRecord { image: ImageNo(8), ..checked_out() })),
        with(Some(ViewRecord { kind: SpendKind::View, ..checked_out() })),
        Returning { scope: None, ..returning(grant()) },
        Returning { grant: None, ..returning(grant()) },
    ] {
        let told = format!("{state:?}");
        let error = checkin(state, bob(), &back(1)).unwrap_err();
        assert_eq!((error.code, &*error.message), (Code::NotFound, "there is no such checkout"), "{told}");
    }
}
