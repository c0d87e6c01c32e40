//! Another incarnation of data of which nothing was lost, and what sessions do that outlive the one before.

use dos_protocol::{
    Instance, Nonce,
    directory::{Asserted, AssertedGrant, Assertion, Attempt, Checkin, PeerState},
    model::Grant,
};

use super::{
    once::{more_views, publication, three},
    *,
};
use crate::rules::seats::Claim;

on_both_engines!(what_is_done_after_the_data_was_renewed_is_counted_once_whoever_asserts_it);

/// Signs in a peer that has stored so many updates.
async fn sign_in(store: &Store, (peer, number): (PeerId, u8), stored: u64) -> Entered {
    let attempt = Attempt { number: stored + 1, nonce: Nonce::from([number; 16]) };
    let state = Some(PeerState { attempt, incarnation: None, stored_at: None });
    let (instance, claim) = (Instance(1), Claim::Polite);
    let arrival = Arrival { peer, key: key(number), stored: Seq(stored), state, instance, claim };
    store.sign_in(arrival, NOW).await.unwrap()
}

async fn assert_grant(store: &Store, peer: PeerId, grant: &Grant) {
    let share = KeyShare { split: SplitId::from([3; 16]), share: [4; 32], check: None };
    let key = (peer == grant.path.owner).then_some(share);
    let assertion = Assertion::Grants(vec![AssertedGrant { grant: grant.clone(), key }]);
    assert_eq!(store.assert(by(peer, NOW), assertion).await.unwrap(), [Asserted::Confirmed]);
}

async fn what_is_done_after_the_data_was_renewed_is_counted_once_whoever_asserts_it(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, carol] = three(&store).await;
    let image = store.publish(by(alice, NOW), (publication(), Wanted::default())).await.unwrap().no;
    let views = ViewsChange::Set(Allowance::Views(9));
    let share = Share { views, allow_offline: Some(true), ..more_views(image, bob) };
    let before = store.share(by(alice, NOW), share).await.unwrap();
    assert!(!sign_in(&store, (carol, 3), 0).await.is_new);
    assert!(sign_in(&store, (carol, 3), 99).await.is_new, "it has what was never sent");
    // Sessions of before finish what they have begun.
    let (split, sealed) = (SplitId::from([3; 16]), SealedHash::from([1; 32]));
    let spend = |views, kind| Spend { image, view: ViewId::generate(), views, kind, split, sealed };
    let viewed = store.spend(by(bob, NOW), spend(1, SpendKind::View)).await.unwrap().value.grant;
    let checkout = spend(3, SpendKind::Checkout);
    let held = checkout.view;
    store.spend(by(bob, NOW), checkout).await.unwrap();
    let checkin = Checkin { image, checkout: held, unused: 2, given_up: 0 };
    let back = store.checkin(by(bob, NOW), checkin).await.unwrap().value;
    let more = store.share(by(alice, NOW), more_views(image, bob)).await.unwrap();
    assert_eq!((more.views_left, more.views_used, more.returned), (Allowance::Views(9), 2, 2));
    // And those who have begun them assert what they were told.
    for grant in [&before, &viewed, &back, &more] {
        for peer in [bob, alice] {
            assert_grant(&store, peer, grant).await;
            assert_eq!(store.grant(alice, image, bob).await.unwrap(), more, "{grant:?} of {peer}");
        }
    }
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}
