//! Changes whose answer was lost, or whose outcome was not shown: given again, they are made once.

use dos_protocol::{
    control::{Command, Outcome},
    directory::ViewsChange,
};

use crate::{
    control::Control,
    pictures,
    proxy::Proxy,
    stage::{Peer, Stage, wait_until},
};

/// Alice behind a proxy, with an image that Bob has a grant of one view to.
fn alice_behind(stage: &Stage, proxy: &Proxy) -> (Peer, Peer) {
    let bob = stage.peer("bob");
    let through_proxy = stage.link().replace(&format!(":{}", stage.port()), &format!(":{}", proxy.port()));
    let alice = stage.peer_at("alice", &through_proxy);
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    alice.ctl(&["share", "sea", "bob", "--views", "1"]).ok();
    (alice, bob)
}

fn three_more() -> Command {
    Command::Share {
        name: "sea".parse().unwrap(),
        viewer: "bob".parse().unwrap(),
        views: ViewsChange::Add(3),
        expires: None,
        allow_offline: None,
    }
}

#[track_caller]
fn views_left(alice: &Peer) -> u64 {
    alice.given("/sea").unwrap().0.as_u64().unwrap()
}

#[test]
fn more_views_whose_answer_was_lost_are_given_once() {
    let stage = Stage::new();
    let proxy = Proxy::to(stage.port());
    let (alice, bob) = alice_behind(&stage, &proxy);
    let mut expected = 1;
    for _ in 0..10 {
        proxy.lose_the_next_answer();
        let first = alice.ctl(&["share", "sea", "bob", "--add", "3"]);
        if first.code != Some(0) {
            assert!(matches!(first.code, Some(4 | 9)), "{}", first.err);
            alice.online();
            alice.ctl(&["share", "sea", "bob", "--add", "3"]).ok();
        }
        expected += 3;
        wait_until("alice knows", || views_left(&alice) == expected);
    }
    assert!(proxy.cuts() >= 5, "only {} answers were lost", proxy.cuts());
    wait_until("bob knows", || bob.right("/sea").is_some_and(|right| right.0 == expected));
}

#[test]
fn more_views_whose_outcome_was_not_shown_are_given_once() {
    let mut stage = Stage::new();
    let proxy = Proxy::to(stage.port());
    let (mut alice, _bob) = alice_behind(&stage, &proxy);
    let control = Control::new(&alice.socket());
    for _ in 0..3 {
        // It hangs up as one that was killed, with the outcome before its eyes.
        let Outcome::Grant(grant) = control.perform(three_more(), false).unwrap().unwrap() else {
            panic!("no grant")
        };
        assert_eq!(grant.views_left, dos_protocol::Allowance::Views(4));
    }
    alice.restart();
    alice.online();
    control.perform(three_more(), true).unwrap().unwrap();
    assert_eq!(views_left(&alice), 4);
    // That one was shown: what comes now is meant.
    control.perform(three_more(), true).unwrap().unwrap();
    assert_eq!(views_left(&alice), 7);
    // One that never says `shown` means every command.
    for _ in 0..2 {
        control.run(three_more()).unwrap().unwrap();
    }
    assert_eq!(views_left(&alice), 13);
    stage.kill_dosd();
}

#[test]
fn an_image_that_was_added_unseen_is_added_again_without_a_conflict() {
    let stage = Stage::new();
    let alice = stage.peer("alice");
    let control = Control::new(&alice.socket());
    let (sea, other) =
        (pictures::write(&alice.dir.join("sea.jpg"), 1), pictures::write(&alice.dir.join("o.jpg"), 2));
    let add = || Command::Add { name: "sea".parse().unwrap(), replace: false, options: None };
    let Outcome::Image(first) = control.bring(add(), &sea).unwrap().unwrap() else { panic!("no image") };
    let Outcome::Image(again) = control.bring(add(), &sea).unwrap().unwrap() else { panic!("no image") };
    assert_eq!(first, again);
    let error = control.bring(add(), &other).unwrap().unwrap_err();
    assert_eq!(error.code, dos_protocol::Code::Conflict);
}
