//! Changes whose answer was lost, or whose outcome was not shown: given again, they are made once.

use dos_protocol::{
    Allowance,
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

fn change(views: ViewsChange) -> Command {
    Command::Share {
        name: "sea".parse().unwrap(),
        viewer: "bob".parse().unwrap(),
        views,
        expires: None,
        allow_offline: None,
    }
}

/// A command whose outcome no one has seen is no earlier attempt at one that comes after its user has changed the same otherwise.
#[test]
fn a_command_is_meant_anew_after_another_one_about_the_same() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let control = Control::new(&alice.socket());
    let do_unseen = |command: Command| drop(control.perform(command, false).unwrap().unwrap());
    let do_seen = |command: Command| drop(control.perform(command, true).unwrap().unwrap());
    let state = || {
        let shares = alice.json(&["shares", "--given"]);
        let grant = &shares["given"][0];
        (grant["state"].as_str().unwrap().to_owned(), grant["views_left"].as_u64())
    };
    let set = |views| change(ViewsChange::Set(Allowance::Views(views)));
    let active = |views| ("active".to_owned(), Some(views));
    do_seen(set(2));
    // A grant that was revoked unseen, given again, and revoked.
    do_unseen(change(ViewsChange::Revoke));
    do_seen(set(3));
    do_seen(change(ViewsChange::Revoke));
    assert_eq!(state().0, "revoked");
    do_unseen(set(3));
    assert_eq!(state(), active(3));
    do_seen(set(5));
    do_seen(set(3));
    assert_eq!(state(), active(3));
    do_unseen(change(ViewsChange::Add(4)));
    do_seen(set(1));
    do_seen(change(ViewsChange::Add(4)));
    assert_eq!(state(), active(5));
    // What is only added goes on beside each other.
    do_unseen(change(ViewsChange::Add(4)));
    do_seen(change(ViewsChange::Add(2)));
    do_seen(change(ViewsChange::Add(4)));
    assert_eq!(state(), active(11));
    // A request that is approved is a change of the grant, too.
    bob.ctl(&["request", "alice/sea"]).ok();
    wait_until("alice is asked", || {
        alice.json(&["requests"])["incoming"].as_array().is_some_and(|all| !all.is_empty())
    });
    do_unseen(set(3));
    alice.ctl(&["approve", "1", "--views", "7"]).ok();
    wait_until("it is granted", || state() != active(3));
    do_seen(set(3));
    wait_until("it is set anew", || state() == active(3));
    let rename =
        |name: &str, new: &str| Command::Rename { name: name.parse().unwrap(), new: new.parse().unwrap() };
    do_unseen(rename("sea", "ocean"));
    do_seen(rename("ocean", "sea"));
    do_seen(rename("sea", "ocean"));
    let names = || alice.json(&["list", "--mine"])["peers"][0]["images"][0]["name"].clone();
    assert_eq!(names(), "ocean");
    let block = || Command::Block("bob".parse().unwrap());
    do_unseen(block());
    do_seen(Command::Unblock("bob".parse().unwrap()));
    do_seen(block());
    assert_eq!(alice.json(&["blocks"])["blocks"].as_array().unwrap().len(), 1);
    // An image of the same name is another image.
    let remove = || Command::Remove("ocean".parse().unwrap());
    do_unseen(remove());
    alice.ctl(&["add", "sea.jpg", "--name", "ocean"]).ok();
    do_seen(remove());
    assert_eq!(alice.json(&["list", "--mine"])["peers"][0]["images"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn a_request_that_was_withdrawn_is_made_anew() {
    let stage = Stage::new();
    let (alice, bob) = (stage.peer("alice"), stage.peer("bob"));
    pictures::write(&alice.dir.join("sea.jpg"), 1);
    alice.ctl(&["add", "sea.jpg"]).ok();
    let control = Control::new(&bob.socket());
    let request =
        || Command::Request { image: "alice/sea".parse().unwrap(), views: 2, note: None, offline: false };
    drop(control.perform(request(), false).unwrap().unwrap());
    bob.ctl(&["cancel", "1"]).ok();
    drop(control.perform(request(), true).unwrap().unwrap());
    wait_until("alice is asked anew", || alice.json(&["requests"])["incoming"][0]["request"] == 2);
}
