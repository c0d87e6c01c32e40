//! Every change of a grant, exactly.

use dos_protocol::{Code, Reason, limits::VIEWS_MAX, model::PeerRef};

use super::{super::samples::*, *};

const PAST: Timestamp = Timestamp(NOW.0 - 1);
const LATER: Timestamp = Timestamp(NOW.0 + 1);

fn change(views: ViewsChange) -> Share {
    Share {
        image: image().no,
        viewer: PeerRef::Id(bob()),
        views,
        expiry: ExpiryChange::Keep,
        key: None,
        lasts_ms: None,
        allow_offline: None,
    }
}

fn with_key(views: ViewsChange) -> Share {
    Share { key: Some(key(8)), ..change(views) }
}

fn until(at: Timestamp, share: Share) -> Share {
    Share { expiry: ExpiryChange::At(at), ..share }
}

fn lasting(lasts_ms: u64, share: Share) -> Share {
    Share { lasts_ms: Some(lasts_ms), ..share }
}

fn allowing(allow_offline: bool, share: Share) -> Share {
    Share { allow_offline: Some(allow_offline), ..share }
}

fn state(old: Option<GrantRecord>) -> Sharing {
    Sharing {
        scope: scope(),
        old,
        between: Between::default(),
        waiting: Waiting::default(),
        quotas: Quotas::default(),
    }
}

fn result(old: Option<GrantRecord>, change: &Share) -> Result<GrantRecord, Box<str>> {
    share(state(old), change, NOW).map(|decided| decided.state).map_err(|error| error.message)
}

fn left(views: u32) -> GrantRecord {
    GrantRecord { views_left: Allowance::Views(views), ..grant() }.settled()
}

fn revoked() -> GrantRecord {
    GrantRecord { share: None, views_left: Allowance::Views(0), allow_offline: false, ..grant() }.settled()
}

fn unlimited() -> GrantRecord {
    GrantRecord { views_left: Allowance::Unlimited, ..grant() }.settled()
}

fn ending(at: Timestamp) -> GrantRecord {
    GrantRecord { expires_at: Some(at), ..grant() }
}

fn raised(grant: GrantRecord) -> GrantRecord {
    GrantRecord { revision: 10, ..grant }
}

/// Given for the first time or anew, with `views`.
fn fresh(views: Allowance, used: u64, revision: u64) -> GrantRecord {
    GrantRecord {
        split: [8; 16].into(),
        share: Some([8; 32]),
        views_left: views,
        views_used: used,
        expires_at: None,
        revision,
        check: Some([9; 32].into()),
        allow_offline: false,
        returned: if used == 0 { 0 } else { 2 },
        granted: None,
    }
    .settled()
}

#[test]
fn the_counts_of_a_grant_fit_together() {
    let with = |granted| GrantRecord { granted, ..grant() };
    for (grant, expected) in [
        (grant(), Ok(())),
        (left(0), Ok(())),
        (unlimited(), Ok(())),
        (revoked(), Ok(())),
        (with(Some(7)), Err("7 granted, 8 left and used")),
        (with(Some(9)), Err("9 granted, 8 left and used")),
        (with(None), Err("without a limit granted, 8 left and used")),
        (GrantRecord { granted: Some(8), ..unlimited() }, Err("8 granted, without a limit left and used")),
        (GrantRecord { share: None, ..grant() }, Err("it is revoked and has views left")),
    ] {
        assert_eq!(sums(&grant), expected.map_err(String::from), "{grant:?}");
    }
}

#[test]
fn views_are_set_added_kept_and_revoked() {
    use Allowance::{Unlimited, Views};
    use ViewsChange::{Add, Keep, Rekey, Revoke, Set};
    let check = Some([9; 32].into());
    let rekeyed = GrantRecord { split: [8; 16].into(), share: Some([8; 32]), check, ..grant() };
    for (old, share, expected) in [
        (Some(grant()), change(Set(Views(2))), raised(left(2))),
        (Some(grant()), change(Set(Views(0))), raised(left(0))),
        (Some(grant()), change(Set(Views(VIEWS_MAX))), raised(left(VIEWS_MAX))),
        (Some(grant()), change(Set(Unlimited)), raised(unlimited())),
        (Some(grant()), with_key(Set(Views(2))), raised(left(2))),
        (Some(grant()), change(Add(2)), raised(left(7))),
        (Some(left(VIEWS_MAX - 1)), change(Add(1)), raised(left(VIEWS_MAX))),
        (Some(unlimited()), change(Add(2)), raised(unlimited())),
        (Some(grant()), change(Keep), raised(grant())),
        (Some(grant()), with_key(Rekey), raised(rekeyed)),
        (Some(grant()), change(Revoke), raised(revoked())),
        (Some(revoked()), change(Revoke), revoked()),
        (Some(revoked()), with_key(Set(Views(2))), fresh(Views(2), 3, 10)),
        (Some(revoked()), with_key(Add(2)), fresh(Views(2), 3, 10)),
        (None, with_key(Set(Views(2))), fresh(Views(2), 0, 1)),
        (None, with_key(Set(Unlimited)), fresh(Unlimited, 0, 1)),
        (None, with_key(Add(2)), fresh(Views(2), 0, 1)),
    ] {
        assert_eq!(result(old.clone(), &share), Ok(expected), "{share:?} of {old:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    use Allowance::Views;
    use ViewsChange::{Add, Keep, Rekey, Revoke, Set};
    let nothing = format!("{} has no grant for sea", bob());
    let too_many = "a grant has at most 1000000000 views, or is unlimited";
    let keyless = "a new grant needs a key share";
    for (old, share, expected) in [
        (None, change(Keep), &*nothing),
        (None, change(Revoke), &nothing),
        (None, with_key(Rekey), &nothing),
        (Some(revoked()), change(Keep), &nothing),
        (Some(revoked()), with_key(Rekey), &nothing),
        (None, change(Set(Views(2))), keyless),
        (None, change(Add(2)), keyless),
        (Some(revoked()), change(Add(2)), keyless),
        (Some(grant()), change(Rekey), "a grant under another key needs a key share"),
        (Some(grant()), change(Set(Views(VIEWS_MAX + 1))), too_many),
        (Some(left(VIEWS_MAX)), change(Add(1)), too_many),
        (Some(left(VIEWS_MAX)), change(Add(u32::MAX)), too_many),
        (None, with_key(Add(VIEWS_MAX + 1)), too_many),
        (Some(grant()), until(NOW, change(Keep)), "a grant cannot end in the past"),
        (Some(grant()), until(PAST, change(Set(Views(1)))), "a grant cannot end in the past"),
        (Some(grant()), lasting(0, change(Keep)), "a grant cannot end at once"),
    ] {
        assert_eq!(result(old.clone(), &share), Err(expected.into()), "{share:?} of {old:?}");
    }
    let code = |old, share: &Share| super::share(state(old), share, NOW).unwrap_err().code;
    assert_eq!(code(None, &change(Keep)), Code::NotFound);
    assert_eq!(code(None, &change(Add(1))), Code::Invalid);
}

#[test]
fn giving_views_lifts_an_end_in_the_past_and_nothing_else_does() {
    use Allowance::Views;
    use ViewsChange::{Add, Keep, Rekey, Revoke, Set};
    for (at, share, expected) in [
        (PAST, change(Add(1)), None),
        (PAST, change(Set(Views(1))), None),
        (NOW, change(Add(1)), None),
        (NOW, change(Set(Views(1))), None),
        (LATER, change(Add(1)), Some(LATER)),
        (LATER, change(Set(Views(1))), Some(LATER)),
        (PAST, change(Keep), Some(PAST)),
        (PAST, with_key(Rekey), Some(PAST)),
        (PAST, change(Revoke), Some(PAST)),
        (PAST, until(LATER, change(Keep)), Some(LATER)),
        (PAST, until(LATER, change(Add(1))), Some(LATER)),
        (LATER, until(Timestamp(NOW.0 + 9), change(Keep)), Some(Timestamp(NOW.0 + 9))),
        // What is revoked does not end any more.
        (LATER, until(PAST, change(Revoke)), Some(LATER)),
        // A time to last counts from the directory's now, whatever moment the owner names beside it.
        (LATER, lasting(9, change(Keep)), Some(Timestamp(NOW.0 + 9))),
        (PAST, lasting(9, change(Add(1))), Some(Timestamp(NOW.0 + 9))),
        (LATER, lasting(9, until(PAST, change(Keep))), Some(Timestamp(NOW.0 + 9))),
        (LATER, lasting(u64::MAX, change(Keep)), Some(Timestamp(i64::MAX))),
    ] {
        let grant = result(Some(ending(at)), &share).unwrap();
        assert_eq!(grant.expires_at, expected, "{share:?} at {at:?}");
    }
    let anew = GrantRecord { expires_at: Some(LATER), ..revoked() };
    assert_eq!(result(Some(anew), &with_key(Add(1))).unwrap().expires_at, None, "given anew");
}

#[test]
fn an_approval_adds_views_to_a_live_grant_or_gives_one() {
    use Allowance::Views;
    let with_more = |old, views| GrantRecord::with_more(old, (views, None), &key(8), NOW);
    assert_eq!(with_more(Some(grant()), 2), Ok(raised(left(7))));
    assert_eq!(with_more(Some(unlimited()), 2), Ok(raised(unlimited())));
    assert_eq!(with_more(Some(revoked()), 2), Ok(fresh(Views(2), 3, 10)));
    assert_eq!(with_more(None, 2), Ok(fresh(Views(2), 0, 1)));
    assert_eq!(with_more(Some(left(VIEWS_MAX - 1)), 1), Ok(raised(left(VIEWS_MAX))));
    assert_eq!(with_more(Some(left(VIEWS_MAX)), 1).unwrap_err().code, Code::Invalid);
    for (at, expected) in [(PAST, None), (NOW, None), (LATER, Some(LATER))] {
        assert_eq!(with_more(Some(ending(at)), 1).unwrap().expires_at, expected, "{at:?}");
    }
}

#[test]
fn checkouts_are_allowed_by_the_owner_alone_and_a_grant_given_anew_does_not_allow_them() {
    use ViewsChange::{Add, Keep, Rekey, Revoke, Set};
    let silent = || GrantRecord { allow_offline: false, ..grant() };
    for (old, share, expected) in [
        (Some(silent()), change(Keep), false),
        (Some(silent()), change(Add(1)), false),
        (Some(silent()), allowing(true, change(Keep)), true),
        (Some(silent()), allowing(true, change(Set(Allowance::Unlimited))), true),
        (Some(grant()), change(Keep), true),
        (Some(grant()), change(Add(1)), true),
        (Some(grant()), with_key(Rekey), true),
        (Some(grant()), allowing(false, change(Keep)), false),
        (Some(grant()), allowing(true, change(Revoke)), false),
        (Some(GrantRecord { allow_offline: true, ..revoked() }), with_key(Add(1)), false),
        (Some(revoked()), allowing(true, with_key(Add(1))), true),
        (None, with_key(Add(1)), false),
        (None, allowing(true, with_key(Add(1))), true),
        (None, allowing(false, with_key(Add(1))), false),
    ] {
        let told = format!("{share:?} of {old:?}");
        assert_eq!(result(old, &share).unwrap().allow_offline, expected, "{told}");
    }
    assert!(result(None, &allowing(true, change(Keep))).is_err(), "there is nothing to allow it on");
    let approved = |old, allow| GrantRecord::with_more(old, (1, allow), &key(8), NOW).unwrap().allow_offline;
    for (old, allow, expected) in [
        (Some(silent()), None, false),
        (Some(silent()), Some(true), true),
        (Some(grant()), None, true),
        (Some(grant()), Some(false), false),
        (Some(revoked()), None, false),
        (None, None, false),
        (None, Some(true), true),
    ] {
        assert_eq!(approved(old.clone(), allow), expected, "{old:?} {allow:?}");
    }
}

#[test]
fn both_sides_are_owed_the_grant_and_the_viewer_first() {
    let decided = share(state(Some(grant())), &change(ViewsChange::Keep), NOW).unwrap();
    let expected = Grant {
        image: image().no,
        path: scope().image.path,
        owner_name: scope().owner_name,
        viewer: bob(),
        viewer_name: scope().viewer_name,
        views_left: Allowance::Views(5),
        views_used: 3,
        expires_at: None,
        revoked: false,
        revision: Revision(10),
        split: [3; 16].into(),
        sealed: image().sealed,
        check: Some([5; 32].into()),
        allow_offline: true,
        returned: 2,
        offer: false,
    };
    assert_eq!(decided.answer, expected);
    let owe = |peer, cause| Owe { peer, update: Update::Grant(Box::new(expected.clone())), cause };
    assert_eq!(decided.owed, [owe(bob(), Some((alice(), Cause::Grant))), owe(alice(), None)]);
    let again = share(state(Some(revoked())), &change(ViewsChange::Revoke), NOW).unwrap();
    assert_eq!((again.owed, again.answer.revoked), (vec![], true), "a revocation comes once");
}

#[test]
fn a_full_inbox_and_oneself_are_refused_and_a_revocation_never_is_for_want_of_room() {
    let full = |of_sender| Waiting { of_sender, all: u64::MAX, row_bytes: u64::MAX, ..Waiting::default() };
    let in_full = |of_sender, old, share: &Share| {
        super::share(Sharing { waiting: full(of_sender), ..state(old) }, share, NOW)
    };
    let add = change(ViewsChange::Add(1));
    let error = in_full(16, Some(grant()), &add).unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    assert!(in_full(15, Some(grant()), &add).is_ok(), "a grant that is there can be changed a few times");
    assert!(in_full(0, None, &with_key(ViewsChange::Add(1))).is_err());
    assert!(in_full(u64::MAX, Some(grant()), &change(ViewsChange::Revoke)).is_ok());
    let rows = Waiting { row_bytes: u64::MAX, ..Waiting::default() };
    let error = super::share(Sharing { waiting: rows, ..state(None) }, &with_key(ViewsChange::Add(1)), NOW);
    assert!(error.unwrap_err().message.ends_with("(limit row_bytes_per_peer)"));
    let change = super::share(Sharing { waiting: rows, ..state(Some(grant())) }, &add, NOW);
    assert!(change.is_ok(), "no row is added");
    let own = Scope { viewer: alice(), ..scope() };
    let error =
        share(Sharing { scope: own, ..state(None) }, &with_key(ViewsChange::Add(1)), NOW).unwrap_err();
    assert_eq!(&*error.message, "an owner's own views are free and need no grant");
}

#[test]
fn across_a_block_grants_are_changed_and_revoked_and_none_is_given() {
    let given = [ViewsChange::Set(Allowance::Views(2)), ViewsChange::Add(1)];
    for (by_other, by_actor, text) in [
        (true, false, "bob takes nothing from you"),
        (false, true, "you have blocked bob"),
        (true, true, "you have blocked bob"),
    ] {
        let between = Between { by_other, by_actor };
        let share = |old, share: Share| super::share(Sharing { between, ..state(old) }, &share, NOW);
        for old in [None, Some(revoked())] {
            for views in given {
                let error = share(old.clone(), with_key(views)).unwrap_err();
                assert_eq!((error.reason, &*error.message), (Some(Reason::Blocked), text));
            }
        }
        for views in given.into_iter().chain([ViewsChange::Keep, ViewsChange::Rekey, ViewsChange::Revoke]) {
            assert!(share(Some(grant()), with_key(views)).is_ok(), "{views:?}");
        }
        assert!(share(Some(revoked()), change(ViewsChange::Revoke)).is_ok());
        let error = share(None, change(ViewsChange::Revoke)).unwrap_err();
        assert_eq!(error.code, Code::NotFound, "as without a block");
    }
}

#[test]
fn a_revoked_grant_stays_so_then_time_counts_before_views() {
    for (record, expected) in [
        (grant(), GrantState::Active),
        (unlimited(), GrantState::Active),
        (ending(LATER), GrantState::Active),
        (ending(NOW), GrantState::Expired),
        (ending(PAST), GrantState::Expired),
        (left(0), GrantState::UsedUp),
        (GrantRecord { expires_at: Some(PAST), ..left(0) }, GrantState::Expired),
        (GrantRecord { expires_at: Some(PAST), ..revoked() }, GrantState::Revoked),
    ] {
        assert_eq!(record.state_at(NOW), expected, "{record:?}");
        assert_eq!(record.snapshot(&scope()).state_at(NOW), expected, "as it travels: {record:?}");
    }
}

#[test]
fn access_is_told_by_the_grant_and_else_by_the_last_request() {
    use RequestState::{Approved, Cancelled, Denied, Pending};
    let used_up = left(0);
    for (record, last, expected) in [
        (None, None, AccessState::None),
        (None, Some(Pending), AccessState::Requested),
        (None, Some(Denied), AccessState::Denied),
        (None, Some(Approved), AccessState::None),
        (None, Some(Cancelled), AccessState::None),
        (Some(grant()), None, AccessState::Granted),
        (Some(grant()), Some(Pending), AccessState::Granted),
        (Some(used_up.clone()), None, AccessState::UsedUp),
        (Some(used_up.clone()), Some(Denied), AccessState::UsedUp),
        (Some(used_up), Some(Pending), AccessState::Requested),
        (Some(ending(PAST)), None, AccessState::Expired),
        (Some(ending(PAST)), Some(Pending), AccessState::Requested),
        (Some(revoked()), Some(Approved), AccessState::Revoked),
        (Some(revoked()), Some(Pending), AccessState::Requested),
    ] {
        assert_eq!(access(record.as_ref(), last, NOW).state, expected, "{record:?} {last:?}");
    }
    let of = |record: &GrantRecord| access(Some(record), None, NOW);
    assert_eq!(
        (of(&ending(PAST)).views_left, of(&ending(PAST)).expires_at),
        (Allowance::Views(5), Some(PAST))
    );
    let odd = GrantRecord { views_left: Allowance::Unlimited, ..revoked() };
    assert_eq!(of(&odd).views_left, Allowance::Views(0), "nothing is left of a revoked one");
    assert_eq!(access(None, None, NOW).views_left, Allowance::Views(0));
}

#[test]
fn a_changed_image_raises_every_grant_and_a_forgotten_viewer_revokes_the_live_ones() {
    let other = Scope { viewer: carol(), viewer_name: None, ..scope() };
    let owe = |peer, grant: &GrantRecord, scope: &Scope| {
        Owe::to(peer, Update::Grant(Box::new(grant.snapshot(scope))))
    };
    let owed = touched(vec![(scope(), grant()), (other.clone(), revoked())]);
    let (first, second) = (raised(grant()), raised(revoked()));
    let expected = [
        owe(bob(), &first, &scope()).caused_by(alice(), Cause::Grant),
        owe(alice(), &first, &scope()),
        owe(carol(), &second, &other).caused_by(alice(), Cause::Grant),
        owe(alice(), &second, &other),
    ];
    assert_eq!(owed, expected);
    let owed = viewer_forgotten(vec![(scope(), grant()), (scope(), revoked())]);
    assert_eq!(owed, [owe(alice(), &raised(revoked()), &scope())]);
}

#[test]
fn a_grant_is_shown_to_its_owner_and_its_viewer_alone() {
    for caller in [alice(), bob()] {
        assert_eq!(show(caller, &scope(), Some(&grant())), Ok(grant().snapshot(&scope())));
        assert_eq!(show(caller, &scope(), None), Err(missing()));
    }
    assert_eq!(show(carol(), &scope(), Some(&grant())), Err(missing()));
    assert_eq!((missing().code, &*missing().message), (Code::NotFound, "there is no such grant"));
}
