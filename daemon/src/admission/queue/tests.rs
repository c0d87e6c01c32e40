//! Admission: who makes room for whom, and who is served next.

use super::*;

const GRACE: Duration = Duration::from_secs(3);

/// Of 20 connections 8 of one key, of 6 that are admitted 3 of one key.
fn queue() -> Queue<char> {
    Queue::new(Bounds { open: Share { all: 20, each: 8 }, admitted: Share { all: 6, each: 3 }, grace: GRACE })
}

/// A connection that has sent something, and what that changes.
fn come(queue: &mut Queue<char>, key: char, now: Instant) -> (u64, News) {
    let (id, mut news) = queue.arrive(key).unwrap();
    news.extend(queue.ready(id, now));
    (id, news)
}

fn ids(queue: &mut Queue<char>, key: char, count: usize, now: Instant) -> Vec<u64> {
    (0..count).map(|_| come(queue, key, now).0).collect()
}

#[test]
fn one_that_comes_alone_is_admitted_at_once() {
    let (mut queue, now) = (queue(), Instant::now());
    let (id, news) = come(&mut queue, 'a', now);
    assert_eq!(news, [(id, Standing::Admitted)]);
    assert_eq!(queue.leave(id, now), []);
    assert_eq!((queue.len(), queue.admitted, queue.crowds.len()), (0, 0, 0), "nothing is left of it");
}

#[test]
fn those_of_one_key_wait_for_each_other_in_the_order_of_their_arrival() {
    let (mut queue, now) = (queue(), Instant::now());
    let all = ids(&mut queue, 'a', 8, now);
    assert_eq!(queue.admitted, 3);
    assert_eq!(queue.arrive('a'), None, "more of one key than may be open are refused");
    assert_eq!(queue.leave(all[1], now), [(all[3], Standing::Admitted)]);
    assert_eq!(queue.leave(all[4], now), [], "one that gives up in the queue");
    assert_eq!(queue.leave(all[0], now), [(all[5], Standing::Admitted)]);
}

#[test]
fn one_of_another_key_is_admitted_at_once_whatever_the_crowds() {
    let (mut queue, now) = (queue(), Instant::now());
    let crowd = ids(&mut queue, 'a', 8, now);
    ids(&mut queue, 'b', 8, now);
    assert_eq!(queue.admitted, 6);
    let (id, news) = come(&mut queue, 'c', now);
    assert_eq!(news, [(crowd[0], Standing::Displaced), (id, Standing::Admitted)]);
    let (id, news) = come(&mut queue, 'd', now);
    assert_eq!(news.last(), Some(&(id, Standing::Admitted)));
    assert_eq!(queue.admitted, 6);
}

#[test]
fn as_many_of_each_key_are_left_alone_until_one_takes_long() {
    let (mut queue, now) = (queue(), Instant::now());
    let first = ['a', 'b', 'c', 'd', 'e', 'f'].map(|key| come(&mut queue, key, now).0);
    let (id, news) = come(&mut queue, 'g', now);
    assert_eq!(news, []);
    assert_eq!(queue.ready(id, now + GRACE - Duration::from_millis(1)), []);
    let expected = [(first[0], Standing::Displaced), (id, Standing::Admitted)];
    assert_eq!(queue.ready(id, now + GRACE), expected);
    assert_eq!(queue.ready(id, now + GRACE), [], "it has what it wants");
}

#[test]
fn one_that_takes_long_makes_room_for_those_of_its_own_key() {
    let (mut queue, now) = (queue(), Instant::now());
    let stalled = ids(&mut queue, 'a', 3, now);
    let (id, news) = come(&mut queue, 'a', now + GRACE);
    assert_eq!(news, [(stalled[0], Standing::Displaced), (id, Standing::Admitted)]);
}

#[test]
fn when_all_are_open_the_silent_ones_of_the_largest_crowd_make_room() {
    let (mut queue, now) = (queue(), Instant::now());
    let busy = ids(&mut queue, 'a', 3, now);
    let silent: Vec<u64> = (0..5).map(|_| queue.arrive('a').unwrap().0).collect();
    for key in ['b', 'c'] {
        assert!((0..6).all(|_| queue.arrive(key).is_some()));
    }
    assert_eq!(queue.len(), 20);
    for displaced in &silent[..3] {
        assert_eq!(queue.arrive('d').unwrap().1, [(*displaced, Standing::Displaced)]);
    }
    assert_eq!(queue.len(), 20);
    assert!(busy.iter().all(|id| queue.keys.contains_key(id)));
}

#[test]
fn of_those_that_are_not_silent_the_last_in_the_queue_makes_room_if_its_crowd_is_clearly_larger() {
    let (mut queue, now) = (queue(), Instant::now());
    let busy = ids(&mut queue, 'a', 8, now);
    for (key, count) in [('b', 6), ('c', 6)] {
        assert!((0..count).all(|_| queue.arrive(key).is_some()));
    }
    assert_eq!(queue.arrive('d').unwrap().1, [(busy[7], Standing::Displaced)]);
    assert_eq!(queue.arrive('a'), None, "it has the most itself");
    assert_eq!(queue.len(), 20);
}

#[test]
fn one_of_the_largest_crowd_displaces_none_of_another() {
    let (mut queue, now) = (queue(), Instant::now());
    for key in ['a', 'b', 'c', 'd', 'e'] {
        assert!((0..4).all(|_| queue.arrive(key).is_some()));
    }
    assert_eq!(queue.arrive('a'), None);
    let (oldest, _) = queue.keys.iter().min_by_key(|(id, _)| **id).unwrap();
    let oldest = *oldest;
    assert_eq!(queue.arrive('f').unwrap().1, [(oldest, Standing::Displaced)]);
    assert_eq!(queue.ready(oldest, now), [], "it is not there any more");
}

#[test]
fn whatever_happens_the_bounds_hold_and_the_counts_are_right() {
    let (mut queue, start) = (queue(), Instant::now());
    let (mut open, mut random) = (Vec::new(), 0x9e37_79b9_7f4a_7c15_u64);
    for step in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (draw, now) = (random >> 33, start + Duration::from_millis(step * 20));
        let pick =
            |open: &Vec<u64>| open.get(usize::try_from(draw / 8).unwrap() % open.len().max(1)).copied();
        let news = match draw % 4 {
            0 | 1 => {
                let key = char::from(b'a' + u8::try_from(draw / 8 % 7).unwrap());
                let arrived = queue.arrive(key);
                open.extend(arrived.as_ref().map(|(id, _)| *id));
                arrived.map(|(_, news)| news).unwrap_or_default()
            }
            2 => pick(&open).map(|id| queue.ready(id, now)).unwrap_or_default(),
            _ => pick(&open).map(|id| queue.leave(id, now)).unwrap_or_default(),
        };
        drop(news);
        open.retain(|id| queue.keys.contains_key(id));
        assert_eq!(queue.len(), open.len());
        let crowds = || queue.crowds.values();
        assert_eq!(crowds().map(Crowd::len).sum::<usize>(), queue.len());
        assert_eq!(crowds().map(|crowd| crowd.admitted.len()).sum::<usize>(), queue.admitted);
        assert!(queue.len() <= 20 && queue.admitted <= 6);
        assert!(crowds().all(|crowd| crowd.len() <= 8 && crowd.admitted.len() <= 3));
        assert!(queue.by_open.0.len() == queue.crowds.len());
        // Where anyone waits, there is no room for it.
        assert!(queue.waiting.iter().all(|key| !queue.has_room(*key)), "step {step}");
    }
}
