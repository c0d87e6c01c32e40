//! What a thief of the directory's disk finds of what was revoked, delivered, removed or cleared.

use dos_protocol::{
    Allowance, OperationId, PeerRef, SplitId, ViewId,
    directory::{Answer, ExpiryChange, KeyShare, Op, Share, ToDirectory, Update, ViewsChange},
};
use dos_testing::{files_with, wait_until_async};

use crate::{
    messages::message,
    net::Net,
    shelf::{SPLIT, publication, spend},
};

const SECRET: [u8; 32] = *b"a share of a key, not for others";

#[tokio::test]
async fn what_was_revoked_delivered_or_removed_is_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut publish = publication("sea", 1);
    let picture = b"what a small picture shows of it".repeat(400);
    publish.preview.data.clone_from(&picture);
    let Ok(Answer::Image(sea)) = alice.ask(Op::Publish(Box::new(publish))).await else { panic!() };
    let share = |views, key| Share {
        image: sea.no,
        viewer: PeerRef::Id(bob.id()),
        views,
        expiry: ExpiryChange::Keep,
        key,
        lasts_ms: None,
        allow_offline: None,
    };
    let key = KeyShare { split: SplitId::from(SPLIT), share: SECRET, check: None };
    let given = share(ViewsChange::Set(Allowance::Views(5)), Some(key));
    let revoked = share(ViewsChange::Revoke, None);
    // With operation IDs, under which answers are kept.
    let operation = Some(OperationId::generate());
    alice.send(&ToDirectory::Request { id: 900, op: Op::Share(given), operation }).await;
    alice.next().await.unwrap();
    let spent = Op::Spend(spend(sea.no, ViewId::generate()));
    bob.send(&ToDirectory::Request { id: 901, op: spent, operation: Some(OperationId::generate()) }).await;
    assert!(format!("{:?}", bob.next().await.unwrap()).contains("Spent"));
    let text = "meet me at the harbour at ".repeat(200);
    alice.write_to(message("bob", &text)).await;
    for secret in [&SECRET[..], &text.as_bytes()[..64], &picture[..64]] {
        assert!(!files_with(dir.path(), secret).is_empty(), "the test looks where it should");
    }
    alice.ask(Op::Share(revoked)).await.unwrap();
    while !matches!(bob.update().await, Update::Message(_)) {}
    bob.acknowledge().await;
    bob.settle().await;
    alice.ask(Op::Remove(sea.no)).await.unwrap();
    for secret in [&SECRET[..], &text.as_bytes()[..64], &picture[..64]] {
        let gone = async || files_with(dir.path(), secret).is_empty();
        wait_until_async("what was deleted is in no file", gone).await;
    }
    net.stop().await;
    assert_eq!(files_with(dir.path(), &SECRET), [""; 0]);
}
