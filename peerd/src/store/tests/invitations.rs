//! Invitations over crashes: what a guest was promised is decided in the transaction that takes it in, and goes on where it was.

use dos_protocol::{
    Allowance, Card, ImageNo, OperationId, PeerId, PublicKey, SealingKey, Seq, Timestamp,
    control::{InviteState, Trust},
    invitation::{InviteKey, InviteSecret, Join, Meeting, RefusedBecause},
};

use super::super::{Arrival, Heard, Joining, NewGrant, NewInvitation, NotMade, Store};
use crate::rules::strangers::Strangers;

fn peer(number: u64) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
}

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn week() -> Timestamp {
    NOW.after(std::time::Duration::from_secs(7 * 24 * 3600))
}

fn new(key: &InviteKey, guest: &str) -> NewInvitation {
    let grant = |no, name: &str| NewGrant {
        image: ImageNo(no),
        name: name.parse().unwrap(),
        views: Allowance::Views(2),
        lasts_ms: Some(1_000),
        allow_offline: false,
    };
    NewInvitation {
        id: key.id(),
        guest: guest.parse().unwrap(),
        secret: vec![1, 2, 3],
        code: Some([4; 32]),
        expires_at: week(),
        grants: vec![grant(1, "sea"), grant(2, "hill")],
    }
}

fn join(key: &InviteKey, guest: PeerId, byte: u8) -> Join {
    let guest = (guest, PublicKey::from([byte; 32]));
    let meeting = Meeting { directory: [9; 32].into(), inviter: (peer(1), [3; 32].into()), guest };
    let sealing = SealingKey { key: [byte; 32], signature: [byte; 64].into() };
    key.join(&meeting, sealing, Some("bob".parse().unwrap()))
}

/// A guest comes as the update of this number.
async fn comes(
    store: &Store,
    seq: u64,
    guest: PeerId,
    (join, is_proved): (Join, bool),
) -> Option<InviteState> {
    let heard = Heard::Guest { from: guest, join: Box::new(join), is_proved };
    let arrival = Arrival::Greeting { seq: Seq(seq), at: NOW, heard };
    let applied = store.apply_updates((peer(1), Strangers::Offer), vec![arrival], |_| ()).await.unwrap();
    assert!(applied.greeted);
    applied.events.into_iter().find_map(|(_, what)| match what {
        dos_protocol::control::EventKind::Invite(invite) => Some(invite.state),
        _ => None,
    })
}

async fn operations(store: &Store) -> Vec<OperationId> {
    store.promises().await.unwrap().iter().map(|promise| promise.operation).collect()
}

#[tokio::test]
async fn after_a_crash_a_promise_is_kept_under_the_same_operation_and_then_answered() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("peerd.db");
    let (store, writer) = Store::open(&path).unwrap();
    store.directory_told(NOW).await.unwrap();
    let key = InviteSecret::generate().unwrap().master();
    store.invite(new(&key, "bob")).await.unwrap().unwrap();
    assert!(operations(&store).await.is_empty(), "nobody has come");
    assert_eq!(comes(&store, 1, peer(2), (join(&key, peer(2), 7), true)).await, Some(InviteState::Giving));
    let before = operations(&store).await;
    assert_eq!(before.len(), 2);
    let first = store.promises().await.unwrap().remove(0);
    store.promise_begun(&first).await.unwrap();
    assert!(store.answers_to_guests().await.unwrap().is_empty(), "it is answered when it has everything");
    // The daemon is killed: what it was doing is known to the next one.
    drop(store);
    writer.join();
    let (store, _writer) = Store::open(&path).unwrap();
    assert_eq!(operations(&store).await, before);
    let promises = store.promises().await.unwrap();
    assert!(promises[0].begun_at.is_some() && promises[1].begun_at.is_none());
    // The guest says it again meanwhile: nothing is promised a second time, and it is no news.
    assert_eq!(comes(&store, 2, peer(2), (join(&key, peer(2), 7), true)).await, None);
    assert_eq!(operations(&store).await, before);
    store.promise_kept(&promises[0], Ok(())).await.unwrap();
    assert_eq!(operations(&store).await, before[1..]);
    let invite = store.promise_kept(&promises[1], Err("it is gone".into())).await.unwrap().unwrap();
    assert_eq!(invite.state, InviteState::Used);
    let answer = store.answers_to_guests().await.unwrap().remove(0);
    assert_eq!((answer.peer, answer.verdict.unwrap().0), (peer(2), PublicKey::from([7; 32])));
    store.answer_sent(answer.operation).await.unwrap();
    assert!(store.answers_to_guests().await.unwrap().is_empty());
    let pin = store.pin(peer(2)).await.unwrap().unwrap();
    assert_eq!((pin.contact.trust, pin.contact.stranger), (Some(Trust::Verified), false));
}

#[tokio::test]
async fn what_is_not_proved_uses_nothing_up_and_a_second_guest_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
    store.directory_told(NOW).await.unwrap();
    let key = InviteSecret::generate().unwrap().master();
    store.invite(new(&key, "bob")).await.unwrap().unwrap();
    assert_eq!(comes(&store, 1, peer(3), (join(&key, peer(3), 8), false)).await, Some(InviteState::Open));
    assert_eq!(comes(&store, 2, peer(3), (join(&key, peer(3), 8), false)).await, None, "it is told once");
    assert!(store.pin(peer(3)).await.unwrap().is_none());
    comes(&store, 3, peer(2), (join(&key, peer(2), 7), true)).await;
    comes(&store, 4, peer(3), (join(&key, peer(3), 8), true)).await;
    let refused: Vec<_> = store.answers_to_guests().await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!((refused[0].peer, refused[0].verdict), (peer(3), Err(RefusedBecause::Used)));
    assert!(store.pin(peer(3)).await.unwrap().is_none());
    // An invitation that is not there is not answered.
    let other = InviteSecret::generate().unwrap().master();
    comes(&store, 5, peer(4), (join(&other, peer(4), 9), true)).await;
    assert_eq!(store.answers_to_guests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn open_invitations_are_one_for_a_name_and_bounded_and_a_revoked_one_is_revoked_at_the_directory() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
    store.directory_told(NOW).await.unwrap();
    let invite = async |name: &str| {
        store
            .invite(new(&InviteSecret::generate().unwrap().master(), name))
            .await
            .unwrap()
            .map(|invite| invite.state)
    };
    assert_eq!(invite("bob").await, Ok(InviteState::Open));
    assert_eq!(invite("bob").await, Err(NotMade::Open(week())));
    assert!(store.codes_to_revoke().await.unwrap().is_empty());
    let revoked = store.revoke_invitation("bob".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(revoked.state, InviteState::Revoked);
    assert_eq!(store.revoke_invitation("bob".parse().unwrap()).await.unwrap(), None);
    assert_eq!(store.codes_to_revoke().await.unwrap(), [[4; 32]]);
    store.code_is_revoked([4; 32]).await.unwrap();
    assert!(store.codes_to_revoke().await.unwrap().is_empty());
    for number in 0..100 {
        assert_eq!(invite(&format!("guest{number}")).await, Ok(InviteState::Open));
    }
    assert_eq!(invite("one-more").await, Err(NotMade::TooMany));
    assert_eq!(store.invitations().await.unwrap().len(), 101);
    // When their time is long over they are forgotten.
    store.directory_told(Timestamp(week().0 + 31 * 24 * 3_600_000)).await.unwrap();
    assert_eq!(invite("one-more").await, Ok(InviteState::Expired));
    assert_eq!(store.invitations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_inviter_is_greeted_until_it_answers_and_not_for_ever() {
    let temp = tempfile::tempdir().unwrap();
    let (store, _writer) = Store::open(&temp.path().join("peerd.db")).unwrap();
    store.directory_told(NOW).await.unwrap();
    let (id, directory) = (InviteSecret::generate().unwrap().master().id(), PublicKey::from([9; 32]));
    let inviter = Card { id: peer(1), key: [3; 32].into(), name: None };
    let joining = Joining { id, directory, inviter, secret: vec![1, 2, 3] };
    store.join(joining.clone()).await.unwrap();
    let operation = store.joined(id).await.unwrap().unwrap().operation;
    // Given again it is the same one, and says the same under the same operation.
    store.join(joining).await.unwrap();
    assert_eq!(store.joined(id).await.unwrap().unwrap().operation, operation);
    let waiting = async || store.joined_waiting(directory).await.unwrap().len();
    assert_eq!((waiting().await, store.joined_waiting([8; 32].into()).await.unwrap().len()), (1, 0));
    let answer = async |seq, verdict, is_proved| {
        let heard = Heard::Answer { invitation: id, verdict, is_proved };
        store
            .apply_updates(
                (peer(2), Strangers::Offer),
                vec![Arrival::Greeting { seq: Seq(seq), at: NOW, heard }],
                |_| (),
            )
            .await
            .unwrap();
        store.joined(id).await.unwrap().unwrap().state
    };
    assert_eq!(answer(1, Err(RefusedBecause::Used), false).await, InviteState::Waiting);
    assert_eq!(answer(2, Err(RefusedBecause::Keys), true).await, InviteState::Refused);
    let sealing = SealingKey { key: [1; 32], signature: [1; 64].into() };
    assert_eq!(answer(3, Ok(sealing), true).await, InviteState::Refused, "the first answer counts");
    assert_eq!(waiting().await, 0);
    let other = InviteSecret::generate().unwrap().master().id();
    let inviter = Card { id: peer(1), key: [3; 32].into(), name: None };
    store.join(Joining { id: other, directory, inviter, secret: vec![1] }).await.unwrap();
    store.directory_told(Timestamp(NOW.0 + 29 * 24 * 3_600_000)).await.unwrap();
    assert_eq!(waiting().await, 1);
    store.directory_told(Timestamp(NOW.0 + 31 * 24 * 3_600_000)).await.unwrap();
    assert_eq!(waiting().await, 0);
}
