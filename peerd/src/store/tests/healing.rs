//! Signing in, a state that was put back, and what is asserted to a directory that was restored.

use dos_protocol::{
    MessageId, Nonce,
    directory::{Block, DataState, Delivered, Delivery, Proof, Sent, Update},
};

use super::{
    messages::{message, myself},
    *,
};

fn data(incarnation: u8, restored: bool) -> DataState {
    let incarnation = [incarnation; 16].into();
    DataState { incarnation, renewed: true, restored, attempts: 40, proof: Proof::from([6; 32]) }
}

impl Bench {
    async fn attempt(&self) -> Attempting {
        self.store.begin_attempt(Nonce::from([2; 16])).await.unwrap()
    }

    async fn keys(&self, claim: Claim) -> Vec<(i64, i64)> {
        self.store.asserting(claim, None).await.unwrap().iter().map(Asserting::key).collect()
    }
}

#[tokio::test]
async fn what_a_restored_directory_is_yet_to_be_told_is_not_given_up() {
    let bench = bench().await;
    bench.store.meet(Seq(0), Some(data(1, false))).await.unwrap();
    bench.apply(vec![granted(1, received(1))]).await.unwrap();
    let is_revoked = async || bench.store.grant(ImageNo(1), me()).await.unwrap().unwrap().revoked;
    bench.store.meet(Seq(1), Some(data(2, false))).await.unwrap();
    let known = bench.store.inventory().await.unwrap();
    bench.store.end_grant(received(1)).await.unwrap();
    bench.store.relearned(known).await.unwrap();
    assert!(!is_revoked().await);
    let told = bench.keys(Claim::Received).await;
    bench.store.asserted(Claim::Received, told).await.unwrap();
    bench.store.end_grant(received(1)).await.unwrap();
    assert!(is_revoked().await);
}

#[tokio::test]
async fn each_attempt_is_higher_than_those_that_either_side_knows() {
    let bench = bench().await;
    assert_eq!(bench.attempt().await.state.attempt.number, 1);
    let second = bench.attempt().await;
    assert_eq!((second.state.attempt.number, second.state.incarnation, second.proof), (2, None, None));
    bench.store.meet(Seq(0), Some(data(1, false))).await.unwrap();
    bench.apply(vec![granted(1, received(1))]).await.unwrap();
    let next = bench.attempt().await;
    assert_eq!((next.state.attempt.number, next.stored), (41, Seq(1)));
    assert_eq!(next.state.stored_at, Some(Timestamp(9)));
    assert_eq!((next.state.incarnation, next.proof), (Some([1; 16].into()), Some(Proof::from([6; 32]))));
}

/// By that the directory tells whether its row of this number is the one that was stored: another moment is data that went back.
#[tokio::test]
async fn the_moment_of_the_last_update_is_told_whatever_came_with_it() {
    let bench = bench().await;
    bench.store.meet(Seq(0), Some(data(1, false))).await.unwrap();
    let at = |seq: u64, update| Incoming {
        seq: Seq(seq),
        at: Timestamp(seq.cast_signed()),
        update,
        proof: crate::rules::trust::Proof::None,
    };
    for batch in [
        vec![granted(1, received(1)), at(2, message(1, "one"))],
        vec![at(3, message(2, "two")), at(4, Update::Void)],
        vec![at(5, message(3, "three"))],
    ] {
        let last = batch.last().unwrap().at;
        bench.apply(batch).await.unwrap();
        assert_eq!(bench.attempt().await.state.stored_at, Some(last));
    }
}

#[tokio::test]
async fn a_state_that_was_put_back_gives_up_what_it_holds_and_reports_it_like_a_checkin() {
    let bench = bench().await;
    bench.with_copy().await;
    let live = Live::default();
    drop(bench.store.take_view(live.clone(), ImageNo(1)).await.unwrap());
    let paid = bench.store.take_checkout(live.clone(), ImageNo(1), Some(3)).await.unwrap().unwrap();
    let checkout = paid.view.id();
    drop(paid);
    let held = Held { checkout, image: ImageNo(1), left: 3, given_up: 0 };
    bench.store.hold(held, hash(1), vec![3]).await.unwrap();
    bench.store.use_held(checkout).await.unwrap().unwrap();
    let open = bench.store.take_checkout(live.clone(), ImageNo(1), Some(2)).await.unwrap().unwrap();
    let unpaid = open.view.id();
    drop(open);
    let met = bench.store.meet(Seq(1), Some(data(1, true))).await.unwrap();
    let told = "4 held views of alice/sea were given up: this state was put back from a copy";
    assert_eq!(met.news, [Box::from(told)]);
    assert_eq!(met.notes.iter().map(|note| &*note.text).collect::<Vec<_>>(), [told]);
    assert!(bench.store.has_lost().await.unwrap());
    assert_eq!(bench.store.held_left(ImageNo(1)).await.unwrap(), 0);
    assert!(bench.store.next_held(ImageNo(1)).await.unwrap().is_none());
    assert!(!bench.store.left_open(live, ImageNo(1)).await.unwrap());
    let returning = bench.store.returning().await.unwrap();
    let given_up = |checkout, given_up| Held { checkout, image: ImageNo(1), left: 0, given_up };
    assert_eq!(returning, [given_up(checkout, 2), given_up(unpaid, 2)]);
    for held in returning {
        bench.store.finish_checkin(held.checkout).await.unwrap();
    }
    // A state that is as new as the directory knows it gives up nothing.
    assert_eq!(bench.store.meet(Seq(1), Some(data(1, false))).await.unwrap().news, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn what_is_known_is_copied_when_another_incarnation_is_met_and_stays_until_it_is_answered() {
    let bench = bench().await;
    let first = DataState { renewed: false, ..data(1, false) };
    bench.store.meet(Seq(0), Some(first)).await.unwrap();
    assert!(!bench.store.is_asserting().await.unwrap(), "the first one that there is");
    for (no, image, byte) in [(7, "a", 7), (8, "b", 8)] {
        let info = bench.publish(no, image, byte).await;
        bench.store.finish_publication(info).await.unwrap();
    }
    bench.store.remove_image(ImageNo(8)).await.unwrap();
    assert_eq!(bench.store.own_preview(ImageNo(7)).await.unwrap().unwrap().data, [1]);
    let given = Grant { image: ImageNo(7), ..grant(me(), other(), 3) };
    bench.store.take_grant(given.clone()).await.unwrap();
    bench.apply(vec![granted(1, received(5))]).await.unwrap();
    bench.store.take_request(asked(2, RequestState::Pending)).await.unwrap();
    bench.store.meet(Seq(1), Some(data(1, false))).await.unwrap();
    assert!(!bench.store.is_asserting().await.unwrap(), "the same one again");
    bench.store.meet(Seq(1), Some(data(2, false))).await.unwrap();
    // What comes from now on is of the new incarnation.
    bench.apply(vec![granted(2, received(9))]).await.unwrap();
    let peer = other().number().cast_signed();
    assert_eq!(bench.keys(Claim::Removed).await, [(8, 0)]);
    assert_eq!(bench.keys(Claim::Image).await, [(7, 0)]);
    assert_eq!(bench.keys(Claim::Given).await, [(7, peer)]);
    assert_eq!(bench.keys(Claim::Request).await, [(5, 0)]);
    let entries = bench.store.asserting(Claim::Received, None).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.grant().unwrap()).collect::<Vec<_>>(), [received(5)]);
    // A grant that is to be asserted is not given up because the directory does not know it.
    assert!(bench.store.inventory().await.unwrap().grants.is_empty());
    bench.store.asserted(Claim::Received, bench.keys(Claim::Received).await).await.unwrap();
    assert_eq!(bench.store.inventory().await.unwrap().grants.len(), 1);
    let (news, _) = bench.store.round_over(0).await.unwrap();
    assert!(news[0].ends_with("until others are back: 1 image, 1 grant, 1 request, 1 block"), "{news:?}");
    assert_eq!(bench.store.round_over(0).await.unwrap().0, Vec::<Box<str>>::new(), "said once");
}

#[tokio::test]
async fn a_block_that_a_restored_directory_does_not_know_stays() {
    let bench = bench().await;
    bench.store.block(Block { peer: other(), name: None, since: Timestamp(1) }).await.unwrap();
    bench.store.meet(Seq(0), Some(data(1, false))).await.unwrap();
    let revision = bench.store.blocks_revision().await.unwrap();
    assert!(bench.store.take_blocks(revision, Vec::new()).await.unwrap());
    assert_eq!(bench.store.blocked_peers(None).await.unwrap().len(), 1);
    bench.store.unblock(other()).await.unwrap();
    assert!(!bench.keys(Claim::Block).await.contains(&(1, other().number().cast_signed())));
}

#[tokio::test]
async fn a_message_is_delivered_whether_its_answer_or_the_update_comes_first() {
    let bench = bench().await;
    for (seq, update_first) in [(1, true), (2, false)] {
        let text: Box<str> = format!("message {seq}").into();
        let outgoing = Outgoing { to: "bob".into(), direct: false, text: text.clone() };
        let sending = bench.store.begin_send(Live::default(), outgoing.clone()).await.unwrap();
        let message: MessageId = sending.open.id();
        let delivered = update(seq, Update::Delivered(Box::new(Delivered { message, to: other() })));
        let sent = Sent { to: other(), to_name: None, at: Timestamp(5), delivery: Delivery::Queued };
        if update_first {
            bench.apply(vec![delivered.clone()]).await.unwrap();
        }
        bench.store.finish_send((me(), message), outgoing, sent, |_| ()).await.unwrap();
        if !update_first {
            bench.apply(vec![delivered]).await.unwrap();
        }
        let all = bench.store.messages(myself(), Wanted::default()).await.unwrap().0;
        let kept = all.iter().find(|kept| kept.text == text).unwrap();
        assert_eq!(kept.delivery, Some(Delivery::Delivered), "{seq}");
    }
}
