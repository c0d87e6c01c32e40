//! Every assertion of a grant, and every order of them.

use dos_protocol::{ImageNo, Timestamp, directory::SpendKind};

use super::{
    super::{Owe, samples::*},
    *,
};

/// Where the revisions of this incarnation begin.
const SINCE: u64 = 1_000;

/// The state of the grant in the backup: revision 9, five views left of eight, split 3.
fn backup() -> Fork {
    let record = grant();
    Fork {
        split: record.split,
        owner_revision: 9,
        used_revision: 9,
        used: 3,
        returned: record.returned,
        left: Allowance::Views(5),
        claimed: 0,
    }
}

fn state(grant: GrantRecord) -> Asserting {
    Asserting { scope: scope(), grant: Some(grant), fork: Some(backup()), since: SINCE }
}

fn told(revision: u64, split: u8, (left, used): (u32, u64)) -> Grant {
    let record = GrantRecord {
        split: [split; 16].into(),
        views_left: Allowance::Views(left),
        views_used: used,
        revision,
        ..grant()
    };
    record.snapshot(&scope())
}

fn owner(grant: Grant) -> AssertedGrant {
    let key = (!grant.revoked).then_some(KeyShare { split: grant.split, share: [7; 32], check: None });
    AssertedGrant { grant, key }
}

fn viewer(grant: Grant) -> AssertedGrant {
    AssertedGrant { grant, key: None }
}

fn gone(grant: Grant) -> Grant {
    Grant { revoked: true, views_left: Allowance::Views(0), ..grant }
}

/// Views left, views used, revision, whether it is live.
type Short = (Allowance, u64, u64, bool);

fn short(grant: &GrantRecord) -> Short {
    (grant.views_left, grant.views_used, grant.revision, grant.share.is_some())
}

fn heal(state: &Asserting, caller: PeerId, asserted: &AssertedGrant) -> (Asserting, Asserted, Vec<Owe>) {
    let decided = assert(state.clone(), caller, asserted);
    let mut next = state.clone();
    if let Some(healed) = decided.state {
        let before = state.grant.as_ref().map_or(0, |grant| grant.views_used.cast_signed());
        assert_eq!(healed.grant.views_used.cast_signed() - before, healed.without_receipt);
        if healed.fork.is_some() {
            next.fork = healed.fork;
        }
        next.grant = Some(healed.grant);
    }
    (next, decided.answer, decided.owed)
}

fn views(left: u32) -> Allowance {
    Allowance::Views(left)
}

#[test]
fn a_newer_state_of_the_owner_is_taken_as_it_is() {
    for (asserted, expected) in [
        (owner(told(12, 3, (7, 4))), (views(7), 4, 12, true)),
        (owner(told(12, 4, (2, 4))), (views(2), 4, 12, true)),
        (owner(gone(told(12, 3, (0, 4)))), (views(0), 4, 12, false)),
        (owner(gone(told(12, 4, (0, 4)))), (views(0), 4, 12, false)),
        // Views that were given back.
        (owner(told(12, 3, (7, 1))), (views(7), 1, 12, true)),
    ] {
        let (next, answer, owed) = heal(&state(grant()), alice(), &asserted);
        let healed = next.grant.unwrap();
        assert_eq!((short(&healed), answer), (expected, Asserted::Confirmed), "{asserted:?}");
        assert_eq!(owed, owe_both(&healed.snapshot(&scope())));
        assert_eq!(healed.split, asserted.grant.split);
        assert_eq!(healed.share, asserted.key.as_ref().map(|key| key.share));
    }
}

#[test]
fn a_state_that_is_no_newer_changes_nothing_unless_it_is_a_revocation() {
    for revision in [8, 9] {
        for (caller, asserted) in [
            (alice(), owner(told(revision, 3, (9, 9)))),
            (bob(), viewer(told(revision, 3, (9, 9)))),
            (alice(), owner(gone(told(revision, 4, (0, 9))))),
            (bob(), viewer(gone(told(revision, 4, (0, 9))))),
        ] {
            let (next, answer, owed) = heal(&state(grant()), caller, &asserted);
            assert_eq!((next.grant, answer), (Some(grant()), Asserted::Confirmed), "{asserted:?}");
            assert!(owed.is_empty());
        }
        for (caller, asserted) in [
            (alice(), owner(gone(told(revision, 3, (0, 3))))),
            (bob(), viewer(gone(told(revision, 3, (0, 3))))),
        ] {
            let (next, answer, owed) = heal(&state(grant()), caller, &asserted);
            let healed = next.grant.unwrap();
            assert_eq!(short(&healed), (views(0), 3, 10, false), "{asserted:?}");
            assert_eq!((answer, owed), (Asserted::Confirmed, owe_both(&healed.snapshot(&scope()))));
        }
    }
}

#[test]
fn a_revocation_wins_over_whatever_was_viewed_since_the_restore() {
    let since = GrantRecord { views_left: views(1), views_used: 7, revision: 13, ..grant() };
    for (caller, asserted) in
        [(alice(), owner(gone(told(10, 3, (0, 4))))), (bob(), viewer(gone(told(10, 3, (0, 4)))))]
    {
        let (next, ..) = heal(&state(since.clone()), caller, &asserted);
        assert_eq!(short(&next.grant.unwrap()), (views(0), 8, 14, false), "with the view before it");
    }
}

#[test]
fn it_does_not_matter_who_comes_back_first() {
    // The owner gave five more (revision 10), and knows nothing of the three views that followed (11 to 13).
    let (by_owner, by_viewer) = (owner(told(10, 3, (10, 3))), viewer(told(13, 3, (7, 6))));
    let (one, answer, _) = heal(&state(grant()), bob(), &by_viewer);
    assert_eq!(answer, Asserted::Missing, "that there were five more only the owner can say");
    assert_eq!(short(one.grant.as_ref().unwrap()), (views(2), 6, 13, true));
    let (one, answer, _) = heal(&one, alice(), &by_owner);
    assert_eq!(answer, Asserted::Confirmed);
    let (one, answer, _) = heal(&one, bob(), &by_viewer);
    assert_eq!(answer, Asserted::Confirmed, "asserted again");
    let (other, ..) = heal(&state(grant()), alice(), &by_owner);
    assert_eq!(short(other.grant.as_ref().unwrap()), (views(10), 3, 10, true));
    let (other, answer, _) = heal(&other, bob(), &by_viewer);
    assert_eq!(answer, Asserted::Confirmed);
    for healed in [one.grant.unwrap(), other.grant.unwrap()] {
        assert_eq!((healed.views_left, healed.views_used), (views(7), 6));
        assert_eq!(healed.granted, Some(13));
    }
}

#[test]
fn what_has_happened_since_stays_on_top() {
    // Two views since the restore.
    let since = GrantRecord { views_left: views(3), views_used: 5, revision: 11, ..grant() };
    let (next, ..) = heal(&state(since.clone()), bob(), &viewer(told(10, 3, (4, 4))));
    assert_eq!(short(&next.grant.unwrap()), (views(2), 6, 12, true));
    let (next, ..) = heal(&state(since.clone()), alice(), &owner(told(12, 3, (10, 3))));
    assert_eq!(short(&next.grant.unwrap()), (views(8), 5, 13, true));
    // Given anew since: another splitting.
    let anew = GrantRecord { split: [8; 16].into(), share: Some([8; 32]), ..since };
    for (caller, asserted, used) in [
        (alice(), owner(told(12, 4, (10, 4))), 6),
        (bob(), viewer(told(12, 3, (4, 4))), 6),
        (alice(), owner(gone(told(12, 3, (0, 3)))), 5),
    ] {
        let (next, ..) = heal(&state(anew.clone()), caller, &asserted);
        let healed = next.grant.unwrap();
        assert_eq!((healed.split, healed.share), (anew.split, anew.share), "{asserted:?}");
        assert_eq!((healed.views_left, healed.views_used), (views(3), used), "{asserted:?}");
    }
}

#[test]
fn a_viewer_gains_nothing_by_what_it_asserts() {
    for asserted in [
        told(20, 3, (50, 0)),
        Grant { views_left: Allowance::Unlimited, ..told(20, 3, (0, 3)) },
        Grant { expires_at: Some(Timestamp(i64::MAX)), ..told(20, 3, (5, 3)) },
        told(20, 9, (5, 3)),
    ] {
        let (next, _, owed) = heal(&state(grant()), bob(), &viewer(asserted.clone()));
        assert_eq!((next.grant, owed.len()), (Some(grant()), 0), "{asserted:?}");
    }
    let over = GrantRecord { share: None, views_left: views(0), ..grant() };
    let (next, ..) = heal(&state(over.clone()), bob(), &viewer(told(20, 3, (50, 4))));
    let healed = next.grant.unwrap();
    assert_eq!((healed.share, healed.views_left, healed.views_used), (None, views(0), 4));
}

#[test]
fn a_grant_that_the_directory_has_lost_comes_back_from_its_owner_alone() {
    let lost = Asserting { scope: scope(), grant: None, fork: None, since: SINCE };
    let (next, answer, owed) = heal(&lost, bob(), &viewer(told(5, 4, (2, 1))));
    assert_eq!((next.grant, answer, owed.len()), (None, Asserted::Missing, 0));
    let (next, answer, owed) = heal(&lost, alice(), &owner(told(5, 4, (2, 1))));
    let healed = next.grant.clone().unwrap();
    assert_eq!((short(&healed), answer), ((views(2), 1, SINCE, true), Asserted::Confirmed));
    assert_eq!(owed, owe_both(&healed.snapshot(&scope())));
    // The viewer's views of before come on top.
    let (next, ..) = heal(&next, bob(), &viewer(told(6, 4, (1, 2))));
    assert_eq!(short(&next.grant.unwrap()), (views(1), 2, SINCE + 1, true));
    let (next, ..) = heal(&lost, alice(), &owner(gone(told(5, 4, (0, 1)))));
    assert_eq!(short(&next.grant.unwrap()), (views(0), 1, SINCE, false));
    let without_key = AssertedGrant { key: None, ..owner(told(5, 4, (2, 1))) };
    assert_eq!(heal(&lost, alice(), &without_key).1, Asserted::Refused);
    let alien_key = AssertedGrant { key: Some(key(9)), ..owner(told(5, 4, (2, 1))) };
    assert_eq!(heal(&lost, alice(), &alien_key).1, Asserted::Refused);
}

#[test]
fn a_revocation_that_came_from_the_viewer_gives_way_to_a_grant_given_anew() {
    let (next, ..) = heal(&state(grant()), bob(), &viewer(gone(told(10, 3, (0, 3)))));
    let (next, ..) = heal(&next, alice(), &owner(told(11, 4, (6, 3))));
    let healed = next.grant.unwrap();
    assert_eq!((healed.split, healed.views_left, healed.views_used), ([4; 16].into(), views(6), 3));
    assert!(healed.share.is_some() && healed.revision > 11);
    // But never to an older state under the same splitting.
    let (next, ..) = heal(&state(grant()), bob(), &viewer(gone(told(12, 3, (0, 3)))));
    let (next, ..) = heal(&next, alice(), &owner(told(10, 3, (6, 3))));
    assert_eq!(next.grant.unwrap().share, None);
}

#[test]
fn unlimited_grants_stay_so_and_become_so() {
    let unlimited = |grant: Grant| Grant { views_left: Allowance::Unlimited, ..grant };
    let (next, ..) = heal(&state(grant()), alice(), &owner(unlimited(told(12, 3, (0, 4)))));
    assert_eq!(short(next.grant.as_ref().unwrap()), (Allowance::Unlimited, 4, 12, true));
    let (next, ..) = heal(&next, bob(), &viewer(unlimited(told(14, 3, (0, 6)))));
    let healed = next.grant.unwrap();
    assert_eq!((short(&healed), healed.granted), ((Allowance::Unlimited, 6, 14, true), None));
}

#[test]
fn impossible_numbers_and_strangers_are_refused() {
    let too_many = Grant { views_left: views(VIEWS_MAX + 1), ..told(12, 3, (0, 4)) };
    for asserted in [told(12, 3, (5, USED_MAX + 1)), told(USED_MAX + 1, 3, (5, 3)), too_many] {
        for (caller, asserted) in [(alice(), owner(asserted.clone())), (bob(), viewer(asserted))] {
            assert_eq!(heal(&state(grant()), caller, &asserted).1, Asserted::Refused, "{asserted:?}");
        }
    }
    assert_eq!(heal(&state(grant()), carol(), &owner(told(12, 3, (5, 3)))).1, Asserted::Refused);
    let most = [
        told(12, 3, (5, USED_MAX)),
        told(USED_MAX, 3, (5, 3)),
        Grant { returned: USED_MAX, ..told(12, 3, (5, 3)) },
    ];
    for asserted in most {
        let (next, answer, _) = heal(&state(grant()), alice(), &owner(asserted.clone()));
        assert_eq!(answer, Asserted::Confirmed);
        assert_eq!(next.grant.unwrap().views_used, asserted.views_used);
    }
    let full = owner(told(12, 3, (VIEWS_MAX, 3)));
    assert_eq!(heal(&state(grant()), alice(), &full).0.grant.unwrap().views_left, views(VIEWS_MAX));
}

#[test]
fn a_checkout_is_taken_for_views_that_were_asserted_as_used_and_for_no_others() {
    let with = |claimed| Some(Fork { claimed, ..backup() });
    for (fork, unused, expected) in [
        (with(3), 2, Ok(1)),
        (with(3), 3, Ok(0)),
        (with(3), 4, Err(Asserted::Missing)),
        (with(3), 0, Err(Asserted::Confirmed)),
        (None, 1, Err(Asserted::Missing)),
    ] {
        let asserted = AssertedCheckout { unused, ..held() };
        let taken = checkout((None, fork.clone()), bob(), &asserted).map(|fork| fork.claimed);
        assert_eq!(taken, expected, "{fork:?} {unused}");
    }
    let (next, ..) = heal(&state(grant()), bob(), &viewer(told(12, 3, (2, 6))));
    assert_eq!(next.fork.unwrap().claimed, 3);
    let (next, ..) = heal(&state(grant()), alice(), &owner(told(12, 3, (4, 4))));
    assert_eq!(next.fork.unwrap().claimed, 1);
    let (next, ..) = heal(&state(grant()), alice(), &owner(told(12, 3, (7, 1))));
    assert_eq!(next.fork.unwrap().claimed, 0);
}

/// A checkout of Bob's, of which one view is left.
fn held() -> AssertedCheckout {
    AssertedCheckout { image: image().no, checkout: [6; 16].into(), unused: 1 }
}

#[test]
fn a_known_checkout_is_confirmed_to_its_viewer_and_refused_to_others() {
    let known = ViewRecord {
        image: image().no,
        viewer: bob(),
        views: 1,
        kind: SpendKind::Checkout,
        returned: None,
        closed: false,
    };
    let elsewhere = ViewRecord { image: ImageNo(99), ..known.clone() };
    for (known, caller, expected) in [
        (&known, bob(), Asserted::Confirmed),
        (&known, carol(), Asserted::Refused),
        (&elsewhere, bob(), Asserted::Refused),
    ] {
        let fork = Some(Fork { claimed: 3, ..backup() });
        assert_eq!(checkout((Some(known), fork), caller, &held()), Err(expected));
    }
}

#[test]
fn a_grant_of_an_image_that_was_anothers_is_refused() {
    let mut alien = told(12, 3, (5, 3));
    alien.path.owner = carol();
    for (caller, asserted) in [(alice(), owner(alien.clone())), (bob(), viewer(alien))] {
        assert_eq!(heal(&state(grant()), caller, &asserted).1, Asserted::Refused);
    }
}

#[test]
fn views_that_were_given_back_are_counted_once_whoever_tells_of_them() {
    // Two were given back before, and two since.
    let since = GrantRecord { returned: 4, ..grant() };
    let back = |returned, told| Grant { returned, ..told };
    let first = back(3, told(12, 3, (5, 3)));
    let orders: [&[(_, AssertedGrant)]; 4] = [
        &[(alice(), owner(first.clone()))],
        &[(bob(), viewer(first.clone()))],
        &[(bob(), viewer(first.clone())), (alice(), owner(first.clone()))],
        &[(alice(), owner(first.clone())), (bob(), viewer(first))],
    ];
    for order in orders {
        let mut state = state(since.clone());
        for (caller, asserted) in order {
            (state, ..) = heal(&state, *caller, asserted);
        }
        assert_eq!(state.grant.unwrap().returned, 5, "{order:?}");
    }
    let too_many = owner(back(u64::MAX, told(12, 3, (5, 3))));
    assert_eq!(heal(&state(since), alice(), &too_many).1, Asserted::Refused);
}

#[test]
fn a_revoked_grant_allows_nothing_offline_whoever_tells_of_it() {
    for (caller, asserted) in
        [(alice(), owner(gone(told(12, 3, (0, 3))))), (bob(), viewer(gone(told(12, 3, (0, 3)))))]
    {
        let live = GrantRecord { allow_offline: true, ..grant() };
        let (next, ..) = heal(&state(live), caller, &asserted);
        let next = next.grant.unwrap();
        assert_eq!((next.share, next.allow_offline), (None, false));
    }
}

#[test]
fn whether_checkouts_are_allowed_is_the_owners_to_say() {
    for (now, allowed) in [(true, false), (false, true)] {
        let state = state(GrantRecord { allow_offline: now, ..grant() });
        let asserted = Grant { allow_offline: allowed, ..told(12, 3, (5, 3)) };
        let (next, ..) = heal(&state, alice(), &owner(asserted.clone()));
        assert_eq!(next.grant.unwrap().allow_offline, allowed);
        let lost = Asserting { scope: scope(), grant: None, fork: None, since: SINCE };
        let (next, ..) = heal(&lost, alice(), &owner(asserted.clone()));
        assert_eq!(next.grant.unwrap().allow_offline, allowed);
        let (next, ..) = heal(&lost, alice(), &owner(gone(asserted)));
        assert!(!next.grant.unwrap().allow_offline);
    }
}

#[test]
fn both_are_notified_of_what_they_may_not_know() {
    // The viewer knows of the revocation that it came with, the owner has not been told by anyone.
    let (revoked, _, owed) = heal(&state(grant()), bob(), &viewer(gone(told(12, 3, (0, 3)))));
    assert!(owed.is_empty());
    let (_, _, owed) = heal(&revoked, alice(), &owner(gone(told(12, 3, (0, 3)))));
    assert_eq!(owed.len(), 2);
    // An owner whose state is older than the revocation learns of it.
    let (_, _, owed) = heal(&revoked, alice(), &owner(told(10, 3, (5, 3))));
    assert_eq!(owed.len(), 2);
    // A state that both know already is owed to no one.
    let same = KeyShare { split: grant().split, share: [4; 32], check: grant().check };
    let agreed = AssertedGrant { key: Some(same), ..owner(told(12, 3, (5, 3))) };
    let (next, _, owed) = heal(&state(grant()), alice(), &agreed);
    assert_eq!((next.grant, owed.len()), (Some(grant()), 0));
    // Views are, also of a viewer that knows of the revocation of an earlier splitting.
    for asserted in [told(12, 3, (4, 4)), gone(told(12, 2, (0, 4)))] {
        let (next, _, owed) = heal(&state(grant()), bob(), &viewer(asserted));
        assert_eq!((owed.len(), next.grant.unwrap().views_used), (2, 4));
    }
}

#[test]
fn a_viewer_that_agrees_is_confirmed_and_its_older_word_is_no_news_afterwards() {
    let (next, answer, _) = heal(&state(grant()), bob(), &viewer(told(12, 3, (4, 4))));
    assert_eq!(answer, Asserted::Confirmed);
    let (after, answer, owed) = heal(&next, bob(), &viewer(told(11, 3, (2, 6))));
    assert_eq!((&after.grant, answer, owed.len()), (&next.grant, Asserted::Confirmed, 0));
    let (after, ..) = heal(&next, alice(), &owner(told(11, 3, (6, 3))));
    assert_eq!(short(&after.grant.unwrap()), (views(5), 4, 13, true), "one more given, one view used since");
}

#[test]
fn a_revocation_of_a_grant_of_this_incarnation_is_later_than_all_that_is_known() {
    let live = Asserting { fork: None, ..state(grant()) };
    let end = Some(Timestamp(5_000_000));
    for (caller, asserted) in
        [(alice(), owner(gone(told(20, 3, (0, 3))))), (bob(), viewer(gone(told(20, 3, (0, 3)))))]
    {
        let asserted = AssertedGrant { grant: Grant { expires_at: end, ..asserted.grant }, ..asserted };
        let (next, ..) = heal(&live, caller, &asserted);
        let healed = next.grant.unwrap();
        assert_eq!((short(&healed), healed.expires_at), ((views(0), 3, 21, false), end));
    }
}

#[test]
fn another_state_gets_another_revision() {
    let since = GrantRecord { revision: 12, ..grant() };
    for (revision, expected) in [(11, 13), (12, 13), (13, 13), (14, 14)] {
        let (next, ..) = heal(&state(since.clone()), alice(), &owner(told(revision, 3, (7, 4))));
        assert_eq!(short(&next.grant.unwrap()), (views(7), 4, expected, true), "{revision}");
    }
}

/// Of sessions that outlive an incarnation: a view, five views more, a checkout of which one came back, a revocation.
#[test]
fn what_has_happened_in_this_incarnation_is_counted_once_whoever_asserts_it() {
    let first = GrantRecord { revision: SINCE, ..grant() };
    for now in [
        first.clone(),
        GrantRecord { views_left: views(4), views_used: 4, revision: SINCE + 1, ..first.clone() },
        GrantRecord { views_left: views(10), granted: Some(13), revision: SINCE + 1, ..first.clone() },
        GrantRecord {
            views_left: views(3),
            views_used: 5,
            returned: 3,
            revision: SINCE + 2,
            ..first.clone()
        },
        GrantRecord { views_left: views(0), share: None, allow_offline: false, revision: SINCE + 1, ..first },
    ] {
        let told = now.snapshot(&scope());
        let orders: [&[(_, AssertedGrant)]; 4] = [
            &[(bob(), viewer(told.clone()))],
            &[(alice(), owner(told.clone()))],
            &[(bob(), viewer(told.clone())), (alice(), owner(told.clone()))],
            &[(alice(), owner(told.clone())), (bob(), viewer(told))],
        ];
        for order in orders {
            let mut state = state(now.clone());
            for (caller, asserted) in order {
                let (next, answer, owed) = heal(&state, *caller, asserted);
                assert_eq!((answer, owed.len()), (Asserted::Confirmed, 0), "{order:?}");
                state = next;
            }
            assert_eq!((state.grant, state.fork), (Some(now.clone()), Some(backup())), "{order:?}");
        }
    }
}

#[test]
fn what_was_known_before_comes_on_top_of_what_this_incarnation_has_counted() {
    let since = GrantRecord { views_left: views(4), views_used: 4, revision: SINCE + 1, ..grant() };
    // Of another history, which began before this one and was lost with it.
    let before = told(SINCE - 1, 3, (3, 5));
    for (caller, asserted) in [(alice(), owner(before.clone())), (bob(), viewer(before))] {
        let (next, ..) = heal(&state(since.clone()), caller, &asserted);
        assert_eq!(short(&next.grant.unwrap()), (views(2), 6, SINCE + 2, true), "{asserted:?}");
    }
    // A grant that was lost: what is known of it from before counts, and what comes then does not count twice.
    let lost = Asserting { scope: scope(), grant: None, fork: None, since: SINCE };
    let (next, ..) = heal(&lost, alice(), &owner(told(5, 4, (2, 1))));
    let (mut next, ..) = heal(&next, bob(), &viewer(told(6, 4, (1, 2))));
    let healed = next.grant.clone().unwrap();
    let viewed = GrantRecord { views_left: views(0), views_used: 3, revision: healed.revision + 1, ..healed };
    next.grant = Some(viewed.clone());
    for (caller, asserted) in
        [(bob(), viewer(viewed.snapshot(&scope()))), (alice(), owner(viewed.snapshot(&scope())))]
    {
        let (after, answer, _) = heal(&next, caller, &asserted);
        assert_eq!((after.grant, answer), (Some(viewed.clone()), Asserted::Confirmed));
    }
    // A revocation is final whenever it was, as that of a state that was told to no one else.
    let (next, ..) = heal(&state(since), bob(), &viewer(gone(told(SINCE + 2, 3, (0, 4)))));
    assert_eq!(short(&next.grant.unwrap()), (views(0), 4, SINCE + 3, false));
}
