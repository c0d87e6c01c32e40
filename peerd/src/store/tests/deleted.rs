//! What is deleted is in no file any more.

use dos_protocol::{MessageId, directory::InboxMessage};
use dos_testing::{files_with, wait_until_async};

use super::*;
use crate::{
    rules::messages::Kept,
    store::{messages::make_room, views::Held},
};

const SHARE: &[u8] = b"a share of a key that is sealed for its row";
const KEY: &[u8] = b"a content key that is sealed for its row";

#[tokio::test]
async fn deleted_messages_revoked_shares_and_held_keys_are_in_no_file() {
    let bench = bench().await;
    let text = "meet me at the harbour at dawn ".repeat(300);
    let letter = InboxMessage {
        message: MessageId::from([1; 16]),
        from: other(),
        from_name: None,
        sent_at: Timestamp(1),
        text: text.clone().into(),
        from_key: None,
        sealed: None,
        signature: None,
    };
    bench.apply(vec![granted(1, received(1)), update(2, Update::Message(Box::new(letter)))]).await.unwrap();
    assert!(bench.store.copy_arrived(received(1), SHARE.to_vec(), Some(vec![])).await.unwrap());
    let live = Live::default();
    let checkout = bench.store.take_checkout(live, ImageNo(1), Some(2)).await.unwrap().unwrap();
    let held = Held { checkout: checkout.view.id(), image: ImageNo(1), left: 2, given_up: 0 };
    assert!(bench.store.hold(held, hash(1), KEY.to_vec()).await.unwrap());
    let secrets = [&text.as_bytes()[..64], SHARE, KEY];
    for secret in secrets {
        assert!(!files_with(bench.temp.path(), secret).is_empty(), "the test looks where it should");
    }
    bench.store.write(|connection| make_room(connection, 0, Kept { count: 0, bytes: 0 })).await.unwrap();
    let revoked = Grant { revoked: true, ..received(2) };
    bench.apply(vec![granted(3, revoked)]).await.unwrap();
    for secret in secrets {
        let gone = async || files_with(bench.temp.path(), secret).is_empty();
        wait_until_async("what was deleted is in no file", gone).await;
    }
}
