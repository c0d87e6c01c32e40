//! Connections that carry several transfers, without any network.

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;

fn to(number: u64) -> To {
    To { peer: PeerId::from_number(PeerId::COUNT / 3 + number).unwrap(), key: PublicKey::from([7; 32]) }
}

fn open() -> (Open<DuplexStream>, DuplexStream) {
    let (stream, far) = duplex(64);
    (Open { stream, route: Route::Announced("192.0.2.1:1".parse().unwrap()) }, far)
}

fn alone(lines: &Lines<DuplexStream>, number: u64, bytes: u64) -> Line<DuplexStream> {
    match lines.join(to(number), bytes, vec![1]) {
        Joined::Alone(line) => line,
        other => panic!("{other:?}"),
    }
}

fn waits(lines: &Lines<DuplexStream>, number: u64, bytes: u64) -> oneshot::Receiver<Turn<DuplexStream>> {
    match lines.join(to(number), bytes, vec![9]) {
        Joined::Waits(turn) => turn,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_its_peer_and_for_a_minute() {
    let lines = Lines::default();
    let (near, _far) = open();
    alone(&lines, 1, 5).leave(near);
    let other = To { key: PublicKey::from([8; 32]), ..to(1) };
    assert!(matches!(lines.join(other, 5, vec![]), Joined::Alone(_)), "another key is another one");
    assert!(matches!(lines.join(to(2), 5, vec![]), Joined::Alone(_)));
    let Joined::Kept(line, near) = lines.join(to(1), 5, vec![]) else { panic!("not kept") };
    line.leave(near);
    tokio::time::advance(KEPT_TIME - Duration::from_secs(1)).await;
    assert!(lines.sweep().is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(lines.sweep(), None);
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Alone(_)));
}

fn relayed() -> (Open<DuplexStream>, DuplexStream) {
    let (open, far) = open();
    (Open { route: Route::Relayed, ..open }, far)
}

#[tokio::test(start_paused = true)]
async fn one_through_the_relay_is_kept_for_less_long_and_gives_way_to_a_direct_one() {
    let lines = Lines::default();
    let begun = Instant::now();
    let ((direct, _direct), (through, _through)) = (open(), relayed());
    alone(&lines, 1, 5).leave(direct);
    assert_eq!(lines.sweep(), Some(begun + RELAYED_KEPT_TIME), "one that comes later is due by then");
    alone(&lines, 2, 5).leave(through);
    let Joined::Kept(line, through) = lines.join(to(2), 5, vec![]) else { panic!("not kept") };
    assert_eq!(through.route, Route::Relayed);
    line.leave(through);
    assert!(lines.take_direct(to(2)).is_none(), "it is no better way");
    tokio::time::advance(RELAYED_KEPT_TIME).await;
    assert_eq!(lines.sweep(), Some(begun + RELAYED_KEPT_TIME * 2));
    assert!(matches!(lines.join(to(2), 5, vec![]), Joined::Alone(_)));
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Kept(..)));

    // Both at once: the direct one is taken, whichever was left last, and the place in the relay is given back.
    let ((direct, _direct), (through, mut far)) = (open(), relayed());
    lines.begin(to(3), 5).leave(direct);
    lines.begin(to(3), 5).leave(through);
    let Joined::Kept(_, taken) = lines.join(to(3), 5, vec![]) else { panic!("not kept") };
    assert_ne!(taken.route, Route::Relayed);
    lines.keep(to(3), taken);
    assert_eq!(tokio::io::AsyncReadExt::read(&mut far, &mut [0]).await.unwrap(), 0, "it is closed");
}

#[tokio::test(start_paused = true)]
async fn one_through_the_relay_is_made_anew_every_minute_however_much_it_is_used() {
    let lines = Lines::default();
    let (through, _far) = relayed();
    alone(&lines, 1, 5).leave(through);
    let pause = RELAYED_AGE_MAX / 6;
    for _ in 0..5 {
        tokio::time::advance(pause).await;
        let Joined::Kept(line, through) = lines.join(to(1), 5, vec![]) else { panic!("not kept") };
        line.leave(through);
    }
    tokio::time::advance(pause).await;
    let Joined::Kept(line, through) = lines.join(to(1), 5, vec![]) else { panic!("not kept") };
    line.leave(through);
    let again = alone(&lines, 1, 5);
    let (through, _far) = relayed();
    again.leave(through);
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Kept(..)), "it begins anew");
    for number in 0..2 * u64::try_from(RELAYED_MAX).unwrap() {
        let (through, _far) = relayed();
        alone(&lines, 10 + number, 5).leave(through);
    }
    assert_eq!(lines.state().relayed.len(), RELAYED_MAX);
}

#[tokio::test]
async fn few_are_kept_through_the_relay() {
    let lines = Lines::default();
    let number = |kept: usize| u64::try_from(kept).unwrap();
    let far: Vec<_> = (0..=RELAYED_KEPT_MAX)
        .map(|kept| {
            let (through, far) = relayed();
            alone(&lines, number(kept), 1).leave(through);
            far
        })
        .collect();
    assert!(matches!(lines.join(to(0), 1, vec![]), Joined::Alone(_)), "the oldest one has gone");
    assert!(
        (1..=RELAYED_KEPT_MAX)
            .all(|kept| matches!(lines.join(to(number(kept)), 1, vec![]), Joined::Kept(..)))
    );
    drop(far);
}

#[tokio::test]
async fn one_that_was_hung_up_on_or_on_which_something_is_said_is_not_used() {
    let lines = Lines::default();
    let (near, far) = open();
    alone(&lines, 1, 5).leave(near);
    drop(far);
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Alone(_)));
    let (near, mut far) = open();
    alone(&lines, 1, 5).leave(near);
    far.write_all(b"x").await.unwrap();
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Alone(_)));
}

#[tokio::test]
async fn one_waits_and_is_asked_for_meanwhile_and_a_large_one_is_not_waited_for() {
    let lines = Lines::default();
    let mut first = alone(&lines, 1, 5);
    assert_eq!(first.next_requests(), b"");
    let turn = waits(&lines, 1, 6);
    let second = waits(&lines, 1, 6);
    assert_eq!(first.next_requests(), [9, 9]);
    assert_eq!(first.next_requests(), b"", "once");
    // As many as may wait, and no more.
    let others: Vec<_> = (2..WAITING_MAX).map(|_| waits(&lines, 1, 6)).collect();
    let _own = alone(&lines, 1, 6);
    let (near, _far) = open();
    first.leave(near);
    let Turn { line, is_asked, open: near } = turn.await.unwrap();
    assert!(is_asked);
    line.leave(near);
    let Turn { mut line, is_asked, .. } = second.await.unwrap();
    assert!(is_asked);
    assert_eq!(line.next_requests(), vec![9; WAITING_MAX - 2]);
    // Whoever comes now waits for the one that waited.
    let next = waits(&lines, 1, 8);
    drop(line);
    for waiting in others.into_iter().chain([next]) {
        assert!(waiting.await.is_err(), "its connection is gone");
    }
    let _large = alone(&lines, 2, AHEAD_BYTES_MAX + 1);
    assert!(matches!(lines.join(to(2), 1, vec![]), Joined::Alone(_)));
}

#[tokio::test]
async fn whoever_gives_up_waiting_is_passed_over_unless_it_was_asked_for() {
    let lines = Lines::default();
    let first = alone(&lines, 1, 5);
    drop(waits(&lines, 1, 6));
    let (near, _far) = open();
    first.leave(near);
    let Joined::Kept(mut line, near) = lines.join(to(1), 5, vec![]) else { panic!("not kept") };
    let turn = waits(&lines, 1, 6);
    assert_eq!(line.next_requests(), [9]);
    drop(turn);
    line.leave(near);
    assert!(matches!(lines.join(to(1), 5, vec![]), Joined::Alone(_)), "an answer is on its way");
    assert_eq!(lines.state().busy.len(), 0);
}

#[tokio::test]
async fn so_many_are_kept_and_the_oldest_goes_first() {
    let lines = Lines::default();
    let mut far = Vec::new();
    for number in 0..=u64::try_from(KEPT_MAX).unwrap() {
        let (near, end) = open();
        far.push(end);
        alone(&lines, number, 1).leave(near);
    }
    assert_eq!(lines.state().kept.len(), KEPT_MAX);
    assert!(matches!(lines.join(to(0), 1, vec![]), Joined::Alone(_)));
    assert!(matches!(lines.join(to(1), 1, vec![]), Joined::Kept(..)));
    lines.close();
    assert_eq!(lines.sweep(), None);
}
