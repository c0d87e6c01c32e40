//! The checker objects to histories that cannot be, and to nothing else.

use super::*;
use crate::history::record::Image;

const ALICE: Who = 0;
const BOB: Who = 1;

const SEA: Grant = Grant { owner: ALICE, viewer: BOB, image: Image::Sea };
const DUNES: Grant = Grant { owner: ALICE, viewer: BOB, image: Image::Dunes };

/// A history that is written one operation after the other, and what is seen at its end.
#[derive(Default)]
struct Story {
    history: Vec<Entry>,
    seen: Vec<Seen>,
}

impl Story {
    fn new() -> Self {
        let seen = Seen { online: true, ..Seen::default() };
        Self { history: Vec::new(), seen: vec![seen.clone(), seen] }
    }

    fn did(&mut self, client: Who, action: Action, outcome: Ended) -> &mut Self {
        let at = u64::try_from(self.history.len()).unwrap() * 2;
        self.history.push(Entry { client, action, invoked: at, ended: at + 1, outcome });
        self
    }

    fn viewed(&mut self, grant: Grant, offline: bool, outcome: Ended) -> &mut Self {
        let shown = outcome == Ended::Ok;
        self.did(grant.viewer, Action::View { grant, offline, shown }, outcome)
    }

    fn books(&mut self, grant: Grant, books: Books) -> &mut Self {
        self.seen[grant.owner].given.insert(grant, books);
        self.seen[grant.viewer].received.insert(grant, books);
        self
    }

    /// How much of each is found: lost, doubled, over-granted, stuck.
    fn verdict(&self) -> [usize; 4] {
        let Verdict { lost, doubled, over_granted, stuck } = check(&self.history, &self.seen);
        [lost.len(), doubled.len(), over_granted.len(), stuck.len()]
    }
}

const CLEAN: [usize; 4] = [0; 4];
const LOST: [usize; 4] = [1, 0, 0, 0];
const DOUBLED: [usize; 4] = [0, 1, 0, 0];
const OVER_GRANTED: [usize; 4] = [0, 0, 1, 0];
const STUCK: [usize; 4] = [0, 0, 0, 1];

fn books(left: u64, used: u64) -> Books {
    Books { left, used, ..Books::default() }
}

#[test]
fn views_are_counted_once_each() {
    // What was granted, what was viewed and how it ended, what the books say, and what is to be found.
    let rows: [(&[Ended], Books, [usize; 4]); 8] = [
        (&[Ended::Ok, Ended::Ok], books(3, 2), CLEAN),
        (&[Ended::Ok, Ended::Unknown], books(3, 2), CLEAN),
        (&[Ended::Ok, Ended::Unknown], books(4, 1), CLEAN),
        (&[Ended::Ok, Ended::Ok], books(4, 1), OVER_GRANTED),
        (&[Ended::Ok, Ended::Fail], books(3, 2), DOUBLED),
        (&[Ended::Ok, Ended::Unknown], books(2, 3), DOUBLED),
        (&[Ended::Ok], books(3, 1), LOST),
        (&[Ended::Ok], books(5, 1), OVER_GRANTED),
    ];
    for (views, books, expected) in rows {
        let mut story = Story::new();
        story.did(ALICE, Action::Add(SEA, 5), Ended::Ok);
        for outcome in views {
            story.viewed(SEA, false, *outcome);
        }
        assert_eq!(story.books(SEA, books).verdict(), expected, "{views:?} {books:?}");
    }
}

#[test]
fn a_picture_that_was_seen_is_counted_however_its_view_ended() {
    let mut story = Story::new();
    story.did(ALICE, Action::Add(SEA, 2), Ended::Ok);
    story.did(BOB, Action::View { grant: SEA, offline: false, shown: true }, Ended::Unknown);
    assert_eq!(story.books(SEA, books(1, 1)).verdict(), CLEAN);
    assert_eq!(story.books(SEA, books(2, 0)).verdict(), OVER_GRANTED);
}

#[test]
fn views_that_are_added_are_added_once() {
    for (added, left, expected) in [
        (Ended::Ok, 5, CLEAN),
        (Ended::Ok, 8, OVER_GRANTED),
        (Ended::Ok, 2, LOST),
        (Ended::Fail, 2, CLEAN),
        (Ended::Fail, 5, OVER_GRANTED),
    ] {
        let mut story = Story::new();
        story.did(ALICE, Action::Add(SEA, 2), Ended::Ok).did(ALICE, Action::Add(SEA, 3), added);
        assert_eq!(story.books(SEA, books(left, 0)).verdict(), expected, "{added:?} {left}");
    }
}

#[test]
fn held_views_are_used_once_or_given_back() {
    let story = |pictures: usize, books: Books| {
        let mut story = Story::new();
        story.did(ALICE, Action::Add(SEA, 5), Ended::Ok).did(BOB, Action::Checkout(SEA, 2), Ended::Ok);
        for _ in 0..pictures {
            story.viewed(SEA, true, Ended::Ok);
        }
        story.did(BOB, Action::Checkin(SEA), Ended::Ok).books(SEA, books).verdict()
    };
    let returned = |left, used, returned| Books { returned, ..books(left, used) };
    assert_eq!(story(1, returned(4, 1, 1)), CLEAN);
    assert_eq!(story(2, returned(3, 2, 0)), CLEAN);
    // Used and given back.
    assert_eq!(story(2, returned(4, 1, 1)), OVER_GRANTED);
    // Checked out and not counted.
    assert_eq!(story(0, returned(5, 0, 0)), OVER_GRANTED);
    // Counted twice.
    assert_eq!(story(2, returned(1, 4, 0)), DOUBLED);
}

#[test]
fn the_last_word_of_an_owner_holds() {
    let revoked = |left| Books { left, used: 0, returned: 0, revoked: true };
    let story = |last: Action, books: Books| {
        let mut story = Story::new();
        story.did(ALICE, Action::Set(DUNES, 4), Ended::Ok).did(ALICE, last, Ended::Ok);
        story.books(DUNES, books).verdict()
    };
    assert_eq!(story(Action::Set(DUNES, 2), books(2, 0)), CLEAN);
    assert_eq!(story(Action::Set(DUNES, 2), books(4, 0)), OVER_GRANTED);
    assert_eq!(story(Action::Set(DUNES, 2), books(1, 0)), LOST);
    assert_eq!(story(Action::Revoke(DUNES), revoked(0)), CLEAN);
    assert_eq!(story(Action::Revoke(DUNES), books(4, 0)), LOST);
}

#[test]
fn nothing_is_shown_after_a_revocation() {
    let mut story = Story::new();
    story.did(ALICE, Action::Set(DUNES, 4), Ended::Ok).viewed(DUNES, false, Ended::Ok);
    story.did(ALICE, Action::Revoke(DUNES), Ended::Ok);
    story.books(DUNES, Books { revoked: true, ..books(0, 1) });
    assert_eq!(story.verdict(), CLEAN);
    story.viewed(DUNES, false, Ended::Ok).books(DUNES, Books { revoked: true, ..books(0, 2) });
    assert_eq!(story.verdict(), OVER_GRANTED);
}

/// What is counted in the moment of its revocation is not shown any more.
#[test]
fn a_view_that_is_refused_while_its_grant_is_revoked_may_have_been_counted() {
    let story = |revoked_at: (u64, u64), used| {
        let mut story = Story::new();
        story.did(ALICE, Action::Set(DUNES, 3), Ended::Ok);
        story.viewed(DUNES, false, Ended::Fail);
        let (invoked, ended) = revoked_at;
        let (action, outcome) = (Action::Revoke(DUNES), Ended::Ok);
        story.history.push(Entry { client: ALICE, action, invoked, ended, outcome });
        story.books(DUNES, Books { used, revoked: true, ..Books::default() }).verdict()
    };
    // The view was from 2 to 3.
    assert_eq!(story((1, 9), 1), CLEAN);
    assert_eq!(story((1, 9), 0), CLEAN);
    assert_eq!(story((1, 9), 2), DOUBLED);
    assert_eq!(story((4, 5), 1), DOUBLED);
}

#[test]
fn both_sides_agree_about_a_grant() {
    let mut story = Story::new();
    story.did(ALICE, Action::Add(SEA, 2), Ended::Ok).books(SEA, books(2, 0));
    assert_eq!(story.verdict(), CLEAN);
    story.seen[BOB].received.insert(SEA, books(1, 1));
    assert_eq!(story.verdict(), STUCK);
    // One that broke off may have been counted without the viewer's knowing.
    story.viewed(SEA, false, Ended::Unknown).seen[ALICE].given.insert(SEA, books(1, 1));
    story.seen[BOB].received.insert(SEA, books(2, 0));
    assert_eq!(story.verdict(), CLEAN);
    story.seen[BOB].received.clear();
    assert_eq!(story.verdict(), LOST);
}

#[test]
fn messages_arrive_once() {
    let text = || "hello".to_owned();
    for (outcome, copies, expected) in [
        (Ended::Ok, 1, CLEAN),
        (Ended::Ok, 0, LOST),
        (Ended::Ok, 2, DOUBLED),
        (Ended::Fail, 0, CLEAN),
        (Ended::Fail, 1, DOUBLED),
    ] {
        let mut story = Story::new();
        story.did(ALICE, Action::Send { to: BOB, text: text() }, outcome);
        story.seen[BOB].messages = vec![(ALICE, text()); copies];
        assert_eq!(story.verdict(), expected, "{outcome:?} {copies}");
    }
}

#[test]
fn a_block_may_delete_what_it_finds_and_nothing_that_is_sent_when_it_is_lifted() {
    let story = |lifted: bool| {
        let mut story = Story::new();
        story.did(BOB, Action::Block(ALICE), Ended::Ok);
        if lifted {
            story.did(BOB, Action::Unblock(ALICE), Ended::Ok);
        } else {
            story.seen[BOB].blocks.insert(ALICE);
        }
        story.did(ALICE, Action::Send { to: BOB, text: "hello".into() }, Ended::Ok).verdict()
    };
    assert_eq!(story(false), CLEAN);
    assert_eq!(story(true), LOST);
}

#[test]
fn blocks_hold_until_they_are_lifted() {
    let mut story = Story::new();
    story.did(BOB, Action::Block(ALICE), Ended::Ok);
    assert_eq!(story.verdict(), LOST);
    story.seen[BOB].blocks.insert(ALICE);
    assert_eq!(story.verdict(), CLEAN);
    story.did(BOB, Action::Unblock(ALICE), Ended::Ok);
    assert_eq!(story.verdict(), DOUBLED);
}

#[test]
fn images_are_where_their_owner_has_put_them() {
    let name = |name: &str| name.to_owned();
    let story = |own: &[&str], listed: &[&str]| {
        let mut story = Story::new();
        story.did(ALICE, Action::Publish(name("a")), Ended::Ok);
        story.did(ALICE, Action::Rename(name("a"), name("b")), Ended::Ok);
        story.did(ALICE, Action::Publish(name("c")), Ended::Ok);
        story.did(ALICE, Action::Remove(name("c")), Ended::Ok);
        story.seen[ALICE].images = own.iter().map(ToString::to_string).collect();
        story.seen[ALICE].listed = listed.iter().map(ToString::to_string).collect();
        story.verdict()
    };
    assert_eq!(story(&["b"], &["b"]), CLEAN);
    assert_eq!(story(&["b"], &[]), LOST);
    assert_eq!(story(&["b"], &["b", "c"]), DOUBLED);
    assert_eq!(story(&["b", "a"], &["b"]), DOUBLED);
    assert_eq!(story(&["b", "b"], &["b"]), DOUBLED);
}

#[test]
fn a_request_is_decided_once_and_both_sides_know() {
    let story = |owner: &[Decision], viewer: &[Decision]| {
        let mut story = Story::new();
        story.did(BOB, Action::Request(SEA, 7), Ended::Ok).did(ALICE, Action::Deny(7), Ended::Ok);
        let list = |decisions: &[Decision]| decisions.iter().map(|decision| (7, *decision)).collect();
        story.seen[ALICE].incoming = list(owner);
        story.seen[BOB].outgoing = list(viewer);
        story
    };
    let denied = &[Decision::Denied][..];
    assert_eq!(story(denied, denied).verdict(), CLEAN);
    assert_eq!(story(denied, &[]).verdict(), LOST);
    assert_eq!(story(denied, &[Decision::Pending]).verdict(), STUCK);
    assert_eq!(story(&[Decision::Pending], &[Decision::Pending]).verdict(), LOST);
    assert_eq!(story(&[Decision::Denied; 2], denied).verdict(), DOUBLED);
    let mut twice = story(denied, denied);
    twice.did(ALICE, Action::Approve(SEA, 7, 1), Ended::Ok);
    assert_eq!(twice.verdict()[1], 1);
}

#[test]
fn whatever_does_not_end_is_stuck() {
    let mut story = Story::new();
    story.did(ALICE, Action::Publish("a".into()), Ended::Unknown);
    assert_eq!(story.verdict(), STUCK);
    let mut absent = Story::new();
    absent.seen[BOB].online = false;
    assert_eq!(absent.verdict(), STUCK);
}

#[test]
fn a_logout_outlasts_whatever_is_killed() {
    let mut story = Story::new();
    story.did(ALICE, Action::Logout, Ended::Ok).did(ALICE, Action::Status(false), Ended::Ok);
    assert_eq!(story.verdict(), CLEAN);
    story.did(ALICE, Action::Status(true), Ended::Ok);
    assert_eq!(story.verdict(), LOST);
    let mut back = Story::new();
    back.did(ALICE, Action::Logout, Ended::Ok).did(ALICE, Action::Login, Ended::Ok);
    assert_eq!(back.did(ALICE, Action::Status(true), Ended::Ok).verdict(), CLEAN);
}
