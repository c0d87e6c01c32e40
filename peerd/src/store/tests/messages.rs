//! Messages, blocks and requests for contact.

use dos_protocol::{
    MessageId, PeerName, Timestamp,
    control::{EventKind, Message},
    directory::{Block, Delivery, InboxMessage, RequestState, Sent, Update},
    limits::{CONTACTS_PENDING_MAX, DIRECT_UNREAD_MAX, MESSAGE_AGAIN_MAX},
};

use super::*;
use crate::{
    rules::{messages::Kept, strangers::Strangers, trust::Proof},
    store::messages::make_room,
};

fn letter(number: u8, text: &str) -> InboxMessage {
    InboxMessage {
        message: MessageId::from([number; 16]),
        from: other(),
        from_name: Some("bob".parse().unwrap()),
        sent_at: Timestamp(1000 + i64::from(number)),
        text: text.into(),
        from_key: None,
        sealed: None,
        signature: None,
    }
}

pub(super) fn message(number: u8, text: &str) -> Update {
    Update::Message(Box::new(letter(number, text)))
}

pub(super) fn myself() -> Me {
    Me { id: me(), name: Some("alice".parse().unwrap()) }
}

fn brought(from: PeerId, number: u8) -> Direct {
    let message = MessageId::from([number; 16]);
    Direct { from, from_name: None, message, sent_at: Timestamp::now(), text: "psst".into() }
}

impl Bench {
    async fn all(&self) -> Vec<Message> {
        self.store.messages(myself(), Wanted::default()).await.unwrap().0
    }

    /// The places of a page, and whether there are later ones.
    async fn page(&self, wanted: Wanted) -> (Vec<u64>, bool) {
        let (page, more) = self.store.messages(myself(), wanted).await.unwrap();
        (page.iter().map(|message| message.place).collect(), more)
    }

    async fn texts(&self) -> Vec<String> {
        self.all().await.into_iter().map(|message| message.text.into()).collect()
    }

    async fn unread(&self) -> u64 {
        self.store.own().await.unwrap().mail.unread
    }

    async fn direct(&self, brought: Direct) -> Verdict {
        self.store.receive_direct(myself(), brought, |_| ()).await.unwrap().verdict
    }

    async fn block(&self) -> bool {
        self.store.block(Block { peer: other(), name: None, since: Timestamp(1) }).await.unwrap()
    }
}

fn update(seq: u64, update: Update) -> Incoming {
    Incoming { seq: Seq(seq), at: Timestamp(5), update, proof: Proof::None }
}

#[tokio::test]
async fn a_message_that_comes_again_is_here_once_and_in_order() {
    let bench = bench().await;
    let applied = bench.apply(vec![
        update(1, message(1, "one")),
        update(2, Update::Void),
        update(3, message(2, "two")),
    ]);
    let applied = applied.await.unwrap();
    assert_eq!((applied.stored, applied.mail.unread, applied.events.len()), (Seq(3), 2, 2));
    let again = bench.apply(vec![update(3, message(2, "two")), update(4, message(1, "one"))]).await.unwrap();
    assert_eq!((again.stored, again.mail.unread, again.events.len()), (Seq(4), 2, 0));
    assert_eq!(bench.texts().await, ["one", "two"]);
    let first = &bench.all().await[0];
    assert_eq!((first.from, first.to, first.read, first.direct), (other(), Some(me()), false, false));
    assert_eq!(first.to_name, Some("alice".parse::<PeerName>().unwrap()));
}

#[tokio::test]
async fn messages_of_a_blocked_peer_are_passed_over_and_acknowledged() {
    let bench = bench().await;
    bench.block().await;
    let applied = bench.apply(vec![update(1, message(1, "one"))]).await.unwrap();
    assert_eq!((applied.stored, applied.mail.unread, applied.events.len()), (Seq(1), 0, 0));
    let broadcast = || vec![Arrival::Broadcast(Box::new(letter(2, "all")), Proof::None)];
    bench.store.apply_updates((me(), Strangers::Offer), broadcast(), |_| ()).await.unwrap();
    assert_eq!(bench.direct(brought(other(), 3)).await, Verdict::Refused);
    assert_eq!(bench.texts().await, [""; 0]);
    bench.store.unblock(other()).await.unwrap();
    let applied = bench.store.apply_updates((me(), Strangers::Offer), broadcast(), |_| ()).await.unwrap();
    assert!(matches!(&applied.events[..], [(_, EventKind::Message(message))] if message.to.is_none()));
    assert_eq!(bench.texts().await, ["all"]);
}

#[tokio::test]
async fn what_no_honest_directory_sends_is_passed_over() {
    let bench = bench().await;
    let own = Update::Message(Box::new(InboxMessage { from: me(), ..letter(1, "x") }));
    let long = message(2, &"x".repeat((16 << 10) + 1));
    let applied = bench.apply(vec![update(1, own), update(2, long)]).await.unwrap();
    assert_eq!((applied.stored, applied.mail, applied.events.len()), (Seq(2), Mail::default(), 0));
}

#[tokio::test]
async fn what_was_shown_is_read() {
    let bench = bench().await;
    bench.apply((1..=3).map(|n| update(n.into(), message(n, "x"))).collect()).await.unwrap();
    let unread = Wanted { unread: true, ..Wanted::default() };
    let (page, more) = bench.store.messages(myself(), Wanted { most: Some(2), ..unread }).await.unwrap();
    assert_eq!((page.len(), more), (2, true));
    let places: Vec<u64> = page.iter().map(|message| message.place).collect();
    bench.store.mark_read([&places[..], &[77, u64::MAX]].concat(), |_| ()).await.unwrap();
    bench.store.mark_read(places, |mail| assert_eq!(mail.unread, 1)).await.unwrap();
    assert_eq!((bench.unread().await, bench.all().await.len()), (1, 3));
    let (page, more) = bench.store.messages(myself(), unread).await.unwrap();
    assert_eq!((page.len(), page[0].message, more), (1, MessageId::from([3; 16]), false));
}

#[tokio::test]
async fn a_page_is_the_last_ones_or_those_after_a_place_and_bounded_in_bytes() {
    let bench = bench().await;
    let long = "x".repeat(16 << 10);
    bench.apply((1..=20).map(|n| update(n.into(), message(n, &long))).collect()).await.unwrap();
    assert_eq!(bench.page(Wanted::default()).await, ((1..=16).collect(), true));
    bench.apply((21..=40).map(|n| update(n.into(), message(n, "x"))).collect()).await.unwrap();
    let last = |limit| Wanted { limit: Some(limit), ..Wanted::default() };
    assert_eq!(bench.page(last(2)).await, (vec![39, 40], false));
    assert_eq!(bench.page(last(99)).await, ((1..=16).collect(), true));
    assert_eq!(bench.page(Wanted { after: Some(38), ..last(5) }).await.0, [39, 40]);
    assert_eq!(bench.page(Wanted { after: Some(u64::MAX), ..Wanted::default() }).await.0, [0; 0]);
    assert_eq!(bench.page(Wanted { with: Some(me()), ..Wanted::default() }).await.0, [0; 0]);
    assert_eq!(bench.page(Wanted { with: Some(other()), unread: true, ..last(1) }).await.0, [40]);
}

#[tokio::test]
async fn the_oldest_read_messages_go_first_and_the_newest_never() {
    let bench = bench().await;
    bench.apply((1..=5).map(|n| update(n.into(), message(n, "four"))).collect()).await.unwrap();
    bench.store.mark_read(vec![2, 4], |_| ()).await.unwrap();
    let places = |most: (u64, u64)| {
        let bench = &bench;
        async move {
            bench
                .store
                .write(move |connection| make_room(connection, 5, Kept { count: most.0, bytes: most.1 }))
                .await
                .unwrap();
            bench.all().await.iter().map(|message| message.place).collect::<Vec<u64>>()
        }
    };
    assert_eq!(places((4, 1000)).await, [1, 3, 4, 5]);
    assert_eq!(places((100, 12)).await, [1, 3, 5]);
    assert_eq!(places((2, 1000)).await, [3, 5]);
    assert_eq!(places((0, 0)).await, [5]);
    assert_eq!(bench.unread().await, 1);
    // A place is never used twice.
    bench.store.write(|connection| make_room(connection, 0, Kept { count: 0, bytes: 0 })).await.unwrap();
    let applied = bench.apply(vec![update(6, message(6, "six"))]).await.unwrap();
    assert_eq!(applied.mail, Mail { unread: 1, last: 6 });
}

fn outgoing(text: &str) -> Outgoing {
    Outgoing { to: "bob".into(), direct: false, text: text.into() }
}

#[tokio::test]
async fn a_send_without_an_answer_is_taken_up_by_the_next_one_like_it_and_by_one_alone() {
    let bench = bench().await;
    let live = Live::default();
    let begin = |outgoing| bench.store.begin_send(live.clone(), outgoing);
    let first = begin(outgoing("hi")).await.unwrap().open;
    let beside = begin(outgoing("hi")).await.unwrap().open;
    assert_ne!(first.id(), beside.id());
    let (id, other_id) = (first.id(), beside.id());
    drop((first, beside));
    let direct = Outgoing { direct: true, ..outgoing("hi") };
    for different in [outgoing("ho"), direct, Outgoing { to: "carol".into(), ..outgoing("hi") }] {
        let different = begin(different).await.unwrap().open.id();
        assert!(different != id && different != other_id);
    }
    let again = begin(outgoing("hi")).await.unwrap().open;
    assert_eq!(again.id(), id);
    let sent = Sent { to: other(), to_name: None, at: Timestamp(7), delivery: Delivery::Queued };
    bench
        .store
        .finish_send((me(), id), outgoing("hi"), sent, |mail| assert_eq!(mail.unread, 0))
        .await
        .unwrap();
    drop(again);
    let unheard = begin(outgoing("hi")).await.unwrap().open;
    assert_eq!(unheard.id(), id, "its sender has not heard that it was taken");
    bench.store.drop_send(id).await.unwrap();
    drop(unheard);
    assert_eq!(begin(outgoing("hi")).await.unwrap().open.id(), other_id, "the finished one is not repeated");
    let kept = &bench.all().await[0];
    assert_eq!(
        (kept.message, kept.from, kept.to, kept.delivery),
        (id, me(), Some(other()), Some(Delivery::Queued))
    );
    assert!(kept.read);
}

#[tokio::test]
async fn after_an_hour_the_same_text_is_another_message() {
    let bench = bench().await;
    let id = bench.store.begin_send(Live::default(), outgoing("hi")).await.unwrap().open.id();
    let long_ago = Timestamp::now().before(MESSAGE_AGAIN_MAX * 2).0;
    let age =
        move |connection: &Connection| execute(connection, "UPDATE sending SET begun_at = ?1", [long_ago]);
    bench.store.write(age).await.unwrap();
    assert_ne!(bench.store.begin_send(Live::default(), outgoing("hi")).await.unwrap().open.id(), id);
}

#[tokio::test]
async fn a_stranger_makes_one_request_and_only_an_approval_lets_it_in() {
    let bench = bench().await;
    let Verdict::Request(Some(asked)) = bench.direct(brought(other(), 1)).await else { panic!("not asked") };
    assert_eq!((asked.number, asked.from, asked.state), (1, other(), RequestState::Pending));
    assert_eq!(bench.direct(brought(other(), 1)).await, Verdict::Request(None));
    assert_eq!((bench.store.own().await.unwrap().requests, bench.unread().await), (1, 0));
    let denied = bench.store.decide_contact(1, false).await.unwrap();
    let waiting = bench.store.own().await.unwrap().requests;
    assert_eq!((denied.unwrap().state, waiting), (RequestState::Denied, 0));
    // A message through the directory makes it known, but what was denied stays so.
    bench.apply(vec![update(1, message(9, "please"))]).await.unwrap();
    assert_eq!(bench.direct(brought(other(), 1)).await, Verdict::Refused);
    bench.store.decide_contact(1, true).await.unwrap();
    assert!(matches!(bench.direct(brought(other(), 1)).await, Verdict::Stored(Some(_))));
    assert_eq!(bench.direct(brought(other(), 1)).await, Verdict::Stored(None));
    assert_eq!(bench.texts().await, ["please", "psst"]);
    assert_eq!(bench.store.contacts(false, 0).await.unwrap(), []);
    assert_eq!(bench.store.contacts(true, 0).await.unwrap()[0].state, RequestState::Approved);
    assert_eq!(bench.store.decide_contact(2, true).await.unwrap(), None);
}

#[tokio::test]
async fn a_peer_with_a_grant_a_request_or_a_message_is_no_stranger() {
    let stored = |verdict| matches!(verdict, Verdict::Stored(Some(_)));
    for known in [
        Update::Grant(Box::new(grant(me(), other(), 1))),
        Update::Grant(Box::new(grant(other(), me(), 1))),
        Update::Request(Box::new(asked(me(), other()))),
        Update::Decision(Box::new(asked(other(), me()))),
        message(9, "hello"),
    ] {
        let bench = bench().await;
        bench.apply(vec![update(1, known.clone())]).await.unwrap();
        assert!(stored(bench.direct(brought(other(), 1)).await), "{known:?}");
    }
    let bench = bench().await;
    let broadcast = vec![Arrival::Broadcast(Box::new(letter(2, "all")), Proof::None)];
    bench.store.apply_updates((me(), Strangers::Offer), broadcast, |_| ()).await.unwrap();
    assert!(matches!(bench.direct(brought(other(), 1)).await, Verdict::Request(_)));
    assert_eq!(bench.direct(brought(me(), 1)).await, Verdict::Refused);
}

fn asked(owner: PeerId, from: PeerId) -> Request {
    Request {
        request: 4,
        image: ImageNo(1),
        path: ImagePath { owner, name: name("sea") },
        owner_name: None,
        from,
        from_name: None,
        views: 1,
        state: RequestState::Pending,
        note: None,
        reason: None,
        created_at: Timestamp(1),
        decided_at: None,
        revision: 1,
        offline: false,
    }
}

#[tokio::test]
async fn strangers_and_unread_direct_messages_are_bounded() {
    let bench = bench().await;
    let pending = usize::try_from(CONTACTS_PENDING_MAX).unwrap();
    let strangers: Vec<PeerId> = (0..).filter_map(PeerId::from_number).take(pending + 1).collect();
    for stranger in &strangers[..pending] {
        assert!(matches!(bench.direct(brought(*stranger, 1)).await, Verdict::Request(Some(_))));
    }
    assert_eq!(bench.direct(brought(strangers[pending], 1)).await, Verdict::Crowded);
    bench.store.decide_contact(1, true).await.unwrap();
    let id = |number: u64| MessageId::from(u128::from(number).to_be_bytes());
    for number in 1..=DIRECT_UNREAD_MAX {
        let brought = Direct { message: id(number), ..brought(strangers[0], 1) };
        assert!(matches!(bench.direct(brought).await, Verdict::Stored(Some(_))));
    }
    assert_eq!(bench.direct(brought(strangers[0], 255)).await, Verdict::Full);
    let last = bench.store.own().await.unwrap().mail.last;
    bench.store.mark_read(vec![last], |_| ()).await.unwrap();
    assert!(matches!(bench.direct(brought(strangers[0], 255)).await, Verdict::Stored(Some(_))));
}

#[tokio::test]
async fn blocking_voids_the_request_for_contact_and_an_older_list_does_not_undo_it() {
    let bench = bench().await;
    bench.direct(brought(other(), 1)).await;
    let before = bench.store.blocks_revision().await.unwrap();
    assert!(bench.block().await);
    assert_eq!(bench.store.own().await.unwrap().requests, 0);
    assert!(!bench.block().await);
    assert!(!bench.store.take_blocks(before, Vec::new()).await.unwrap());
    assert_eq!(bench.store.blocked_peers(None).await.unwrap().len(), 1);
    let now = bench.store.blocks_revision().await.unwrap();
    let carol = Block { peer: me(), name: Some("carol".parse().unwrap()), since: Timestamp(9) };
    assert!(bench.store.take_blocks(now, vec![carol.clone()]).await.unwrap());
    assert_eq!(bench.store.blocked_peers(None).await.unwrap(), [carol]);
}
