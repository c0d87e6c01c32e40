//! Messages: how long they are remembered, how many wait, and what they cost.

use dos_protocol::limits::{INBOX_ROWS_PER_SENDER, MESSAGE_REMEMBERED};

use super::*;

on_both_engines!(
    messages_are_remembered_for_their_time_and_forgotten_with_later_ones,
    a_thousand_messages_wait_for_one_recipient_and_then_no_more_until_it_has_stored_some,
);

async fn messages_are_remembered_for_their_time_and_forgotten_with_later_ones(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob] =
        [join(&store, 1, Admission::Open).await.unwrap(), join(&store, 2, Admission::Open).await.unwrap()];
    let first = letter(bob);
    let taken = store.send(by(alice, NOW), first.clone()).await.unwrap();
    for _ in 0..9 {
        store.send(by(alice, NOW), letter(bob)).await.unwrap();
    }
    let last_moment = NOW.after(MESSAGE_REMEMBERED);
    store.send(by(bob, last_moment), letter(alice)).await.unwrap();
    let again = store.send(by(alice, last_moment), first.clone()).await.unwrap();
    assert_eq!((again.seq, again.at, again.is_waiting), (taken.seq, NOW, true));
    let later = last_moment.after(std::time::Duration::from_millis(1));
    for _ in 0..3 {
        store.send(by(bob, later), letter(alice)).await.unwrap();
    }
    place.forget_old(&store, later).await;
    assert!(store.send(by(alice, later), first).await.unwrap().seq > taken.seq, "a new one by now");
    close((store, thread)).await;
    assert_eq!(place.numbers("SELECT count(*) FROM messages"), [5], "nothing of the first ten");
}

async fn a_thousand_messages_wait_for_one_recipient_and_then_no_more_until_it_has_stored_some(place: Place) {
    let (store, thread) = place.open();
    let mut peers = Vec::new();
    for number in 1..=3 {
        peers.push(join(&store, number, Admission::Open).await.unwrap());
    }
    let [alice, bob, carol] = peers[..] else { panic!() };
    let count = usize::try_from(INBOX_ROWS_PER_SENDER).unwrap();
    let sending = (0..count).map(|_| store.send(by(alice, NOW), letter(bob)));
    assert!(join_all(sending).await.iter().all(Result::is_ok));
    assert!(matches!(store.send(by(alice, NOW), letter(bob)).await, Err(Refusal::Refused(error))
            if error.reason == Some(Reason::Limit)));
    assert!(store.send(by(carol, NOW), letter(bob)).await.is_ok(), "others are not concerned");
    store.acknowledge(bob, dos_protocol::Seq(1), NOW).await.unwrap();
    assert!(store.send(by(alice, NOW), letter(bob)).await.is_ok());
    close((store, thread)).await;
}

#[tokio::test]
async fn what_a_message_costs_does_not_grow_with_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let (store, thread) = open(dir.path());
    close((store, thread)).await;
    let connection = File::open(dir.path().join("dosd.db")).unwrap();
    for sql in crate::store::messages::STATEMENTS {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let parameters = rusqlite::params_from_iter(vec![0; plan.parameter_count()]);
        let steps: Vec<String> =
            plan.query_map(parameters, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let scans: Vec<_> = steps
            .iter()
            .filter(|step| {
                // A row that the statement makes itself.
                let is_made = matches!(step.as_str(), "SCAN CONSTANT ROW" | "SCAN one");
                step.starts_with("SCAN") && !step.contains("subquery") && !is_made
            })
            .collect();
        assert!(scans.is_empty(), "{sql}: {steps:?}");
    }
}
