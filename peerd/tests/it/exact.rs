//! Exactly as many views as were granted: under concurrency, with the directory killed, with replies lost.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use dos_protocol::{
    Code, Reason,
    control::{Command, Outcome},
};
use dos_testing::{Backoff, Guarded};

use crate::{
    control::Control,
    pictures,
    proxy::Proxy,
    stage::{Peer, Stage, wait_until},
};

const WORKERS: u32 = 64;

fn with_right(views: &str) -> (Stage, Peer, Peer, Vec<u8>) {
    // More views than a person looks at in a minute.
    let stage = Stage::with(&["--views-per-minute", "100000"]);
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", views, "--allow-offline"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    (stage, alice, bob, original)
}

/// Runs `work` in 64 threads until each has said that it is done.
fn together(work: impl Fn(u32) + Send + Sync) {
    thread::scope(|scope| {
        for index in 0..WORKERS {
            let work = &work;
            scope.spawn(move || work(index));
        }
    });
}

/// The owner's receipts as its `watch` shows them: (views, views used after that).
type Receipts = Arc<Mutex<Vec<(u64, u64)>>>;

/// It follows what happens when this returns: its first line tells of the session.
fn receipts(alice: &Peer) -> (Receipts, thread::JoinHandle<()>, Guarded) {
    let mut command = alice.command(&["--json", "watch"]);
    let mut watching = Guarded::start(command.stdout(std::process::Stdio::piped()));
    let out = watching.stdout();
    let seen = Receipts::default();
    let follows = Arc::new(AtomicBool::new(false));
    let (into, begun) = (Arc::clone(&seen), Arc::clone(&follows));
    let reading = thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(Result::ok) {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            begun.store(true, Ordering::SeqCst);
            if event["event"] == "viewed" {
                let receipt = (event["views"].as_u64().unwrap_or(1), event["views_used"].as_u64().unwrap());
                into.lock().unwrap().push(receipt);
            }
        }
    });
    wait_until("watch follows", || follows.load(Ordering::SeqCst));
    (seen, reading, watching)
}

#[test]
fn a_thousand_views_from_64_commands_at_once() {
    let (_stage, alice, bob, original) = with_right("1000");
    let (seen, reading, mut watching) = receipts(&alice);
    let control = Control::new(&bob.socket());
    let (shown, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    together(|_| {
        loop {
            match control.view("alice/sea", false).expect("peerd hung up") {
                Ok(picture) => {
                    assert_eq!(picture, original);
                    shown.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::UsedUp)), "{error}");
                    refused.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    });
    assert_eq!((shown.into_inner(), refused.into_inner()), (1000, WORKERS));
    assert_eq!(bob.right("/sea"), Some((0.into(), 1000, "used_up".into())));
    wait_until("alice has every receipt", || alice.given("/sea").is_some_and(|right| right.1 == 1000));
    let printed = || seen.lock().unwrap().len();
    wait_until("watch has printed every receipt", || printed() >= 1000);
    watching.kill();
    reading.join().unwrap();
    let seen = seen.lock().unwrap().clone();
    let expected: Vec<_> = (1..=1000).map(|used| (1, used)).collect();
    assert_eq!(seen, expected, "exactly 1,000 receipts, in order");
}

#[test]
fn views_and_checkouts_mixed_share_one_thousand() {
    let (_stage, alice, bob, original) = with_right("1000");
    let control = Control::new(&bob.socket());
    let (viewed, taken) = (AtomicU32::new(0), AtomicU32::new(0));
    together(|index| {
        loop {
            let result = if index % 2 == 0 {
                control.view("alice/sea", false).unwrap().map(|picture| {
                    assert_eq!(picture, original);
                    viewed.fetch_add(1, Ordering::SeqCst);
                })
            } else {
                let checkout = Command::Checkout { image: "alice/sea".parse().unwrap(), views: 1 };
                control.run(checkout).unwrap().map(|_| {
                    taken.fetch_add(1, Ordering::SeqCst);
                })
            };
            match result {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::UsedUp)), "{error}");
                    return;
                }
            }
        }
    });
    let (viewed, taken) = (viewed.into_inner(), taken.into_inner());
    assert_eq!(viewed + taken, 1000, "{viewed} viewed, {taken} taken along");
    assert!(viewed > 0 && taken > 0);
    assert_eq!(bob.right("/sea").unwrap().1, 1000);
    wait_until("alice has every receipt", || alice.given("/sea").is_some_and(|right| right.1 == 1000));
    let Some(Ok((Outcome::Held { held, .. }, _))) =
        control.run(Command::Checkin("alice/sea".parse().unwrap()))
    else {
        panic!("the checkin failed");
    };
    assert_eq!(held, 0);
    assert_eq!(bob.right("/sea").unwrap(), (taken.into(), u64::from(viewed), "active".into()));
}

/// Ends a loop of other threads when it goes.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn fifty_kills_of_the_directory_cost_and_give_no_view() {
    const GRANTED: u64 = 1_000_000;
    let (mut stage, alice, bob, original) = with_right(&GRANTED.to_string());
    let control = Control::new(&bob.socket());
    let done = AtomicBool::new(false);
    let shown = AtomicU32::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        // Also when a kill fails: the others would never end.
        let _at_the_end = Done(&done);
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    match control.view("alice/sea", false).expect("peerd hung up") {
                        Ok(picture) => {
                            assert_eq!(picture, original);
                            shown.fetch_add(1, Ordering::SeqCst);
                        }
                        // The directory is away; a later view resumes this one.
                        Err(error) => failures.lock().unwrap().push(error),
                    }
                }
            });
        }
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for kill in 0..50 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let enough = shown.load(Ordering::SeqCst) + 1 + u32::try_from(random % 150).unwrap();
            let are_enough = || shown.load(Ordering::SeqCst) >= enough;
            // Every other time while views are under way, however long they take to go through again; in between at a random
            // moment, which often comes before they do.
            if kill % 2 == 0 {
                wait_until("views go through again", are_enough);
            } else {
                let mut moment = Backoff::within(Duration::from_millis(random % 400));
                while !are_enough() && moment.pause() {}
            }
            stage.kill_dosd();
            stage.start_dosd();
        }
    });
    let failures = failures.into_inner().unwrap();
    for error in &failures {
        assert!(matches!(error.code, Code::Offline | Code::Timeout), "{error:?}");
    }
    bob.online();
    // As many views again as may have been cut off: whichever of them was counted is resumed by one of these.
    let mut shown = u64::from(shown.into_inner());
    for _ in 0..failures.len() + 1 {
        assert_eq!(control.view("alice/sea", false).unwrap().unwrap(), original);
        shown += 1;
    }
    assert_eq!(bob.right("/sea").unwrap(), ((GRANTED - shown).into(), shown, "active".into()));
    alice.online();
    wait_until("alice has every receipt", || alice.given("/sea").is_some_and(|right| right.1 == shown));
}

#[test]
fn lost_replies_cost_and_give_no_view() {
    let stage = Stage::new();
    let proxy = Proxy::to(stage.port());
    let alice = stage.peer("alice");
    let through_proxy = stage.link().replace(&format!(":{}", stage.port()), &format!(":{}", proxy.port()));
    let bob = stage.peer_at("bob", &through_proxy);
    let original = pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "60"]).ok();
    wait_until("bob is told", || bob.right("/sea").is_some());
    bob.ctl(&["fetch", "alice/sea"]).ok();
    let control = Control::new(&bob.socket());
    let mut shown = 0;
    let mut tries = 0;
    loop {
        tries += 1;
        assert!(tries < 1000, "the right is never used up");
        if tries % 2 == 0 {
            proxy.lose_the_next_answer();
        }
        match control.view("alice/sea", false).unwrap() {
            Ok(picture) => {
                assert_eq!(picture, original);
                shown += 1;
            }
            Err(error) if error.reason == Some(Reason::UsedUp) => break,
            Err(error) => {
                assert!(matches!(error.code, Code::Offline | Code::Timeout), "{error:?}");
                bob.online();
            }
        }
    }
    assert_eq!(shown, 60);
    assert!(proxy.cuts() >= 20, "only {} replies were lost", proxy.cuts());
    bob.online();
    assert_eq!(bob.right("/sea").unwrap(), (0.into(), 60, "used_up".into()));
    wait_until("alice has every receipt", || alice.given("/sea").is_some_and(|right| right.1 == 60));
}

/// What the directory has in its database.
fn database(stage: &Stage) -> rusqlite::Connection {
    rusqlite::Connection::open(stage.path("dosd").join("dosd.db")).unwrap()
}

#[test]
fn a_share_that_the_directory_has_lost_costs_one_view_that_is_shown_when_it_is_back() {
    let (mut stage, _alice, bob, original) = with_right("5");
    let share = |stage: &mut Stage, share: &[u8]| -> Vec<u8> {
        stage.kill_dosd();
        let database = database(stage);
        let before = database.query_row("SELECT share FROM grants", [], |row| row.get(0)).unwrap();
        database.execute("UPDATE grants SET share = ?1", [share]).unwrap();
        drop(database);
        stage.start_dosd();
        bob.online();
        before
    };
    let right = share(&mut stage, &[7; 32]);
    for _ in 0..3 {
        let error = bob.error(8, &["view", "alice/sea", "-o", "sea.jpg"]);
        assert!(error["error"]["message"].as_str().unwrap().contains("stays open"), "{error}");
        assert_eq!(bob.right("/sea").unwrap(), (4.into(), 1, "active".into()));
    }
    share(&mut stage, &right);
    assert_eq!(bob.view("alice/sea"), original);
    assert_eq!(bob.right("/sea").unwrap(), (4.into(), 1, "active".into()));
    assert_eq!(bob.view("alice/sea"), original);
    assert_eq!(bob.right("/sea").unwrap(), (3.into(), 2, "active".into()));
}

#[test]
fn the_directory_learns_that_a_view_is_over_and_a_directory_that_is_away_learns_it_later() {
    let (mut stage, _alice, bob, original) = with_right("9");
    let closed = |stage: &Stage| -> (i64, i64) {
        let count = "SELECT count(*), coalesce(sum(closed), 0) FROM views";
        database(stage).query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(bob.view("alice/sea"), original);
    }
    wait_until("three views are closed", || closed(&stage) == (3, 3));
    bob.view("alice/sea");
    stage.kill_dosd();
    stage.start_dosd();
    bob.online();
    bob.ctl(&["checkout", "alice/sea", "--views", "2"]).ok();
    wait_until("everything is closed", || closed(&stage) == (5, 5));
    // What is over there can still be given back.
    bob.ctl(&["checkin", "alice/sea"]).ok();
    assert_eq!(bob.right("/sea").unwrap(), (5.into(), 4, "active".into()));
}
