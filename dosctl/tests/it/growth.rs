//! Answers in pieces, what has been shown, and what only a newer peerd says.

use dos_protocol::{
    Timestamp,
    control::{Event, EventKind, FromPeerd, Outcome, SessionState, ToPeerd},
    directory::Block,
};
use serde_json::json as value;

use crate::harness::{Link, Peerd, code, json, stderr, stdout};

fn blocks(since: std::ops::Range<i64>) -> Box<Outcome> {
    let block = |since| Block { peer: "9BobBobB".parse().unwrap(), name: None, since: Timestamp(since) };
    Box::new(Outcome::Blocks(since.map(block).collect()))
}

fn in_pieces() -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        link.command();
        link.say(FromPeerd::Part(blocks(0..2)));
        link.say(FromPeerd::Part(blocks(2..3)));
        link.say(FromPeerd::Done(blocks(3..5)));
    })
}

#[test]
fn an_answer_in_pieces_is_one_document_and_one_table() {
    let peerd = in_pieces();
    let output = peerd.run(&["blocks", "--json"]);
    let document = json(&stdout(&output));
    let since: Vec<_> =
        document["blocks"].as_array().unwrap().iter().map(|block| block["since"].as_str().unwrap()).collect();
    assert_eq!(since.len(), 5);
    assert!(since.is_sorted());
    peerd.done();
    let peerd = in_pieces();
    let table = stdout(&peerd.run(&["blocks"]));
    assert_eq!((table.lines().count(), table.matches("BLOCKED").count()), (6, 1), "{table}");
    peerd.done();
}

#[test]
fn pieces_that_do_not_belong_together_are_a_failure() {
    let peerd = Peerd::new(1, |_, mut link: Link| {
        link.command();
        link.say(FromPeerd::Part(blocks(0..2)));
        link.say(FromPeerd::Done(Box::new(Outcome::Told(1))));
    });
    let output = peerd.run(&["blocks"]);
    assert_eq!((code(&output), stdout(&output)), (1, String::new()));
    peerd.done();
}

#[test]
fn a_change_is_said_to_be_shown_once_it_is_printed_and_a_question_never() {
    let outcome = || FromPeerd::Done(Box::new(Outcome::Told(3)));
    let peerd = Peerd::new(1, move |_, mut link: Link| {
        link.command();
        link.say(outcome());
        assert_eq!(link.hear(), Some(ToPeerd::Shown));
    });
    assert_eq!(stdout(&peerd.run(&["broadcast", "lunch?"])), "sent to 3 peers\n");
    peerd.done();
    // Standard output takes nothing: peerd must keep the outcome.
    let peerd = Peerd::new(1, move |_, mut link: Link| {
        link.command();
        link.say(outcome());
        assert_eq!(link.hear(), None);
    });
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = peerd.dosctl(&["broadcast", "lunch?"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
    peerd.done();
    let peerd = Peerd::new(1, |_, mut link: Link| {
        link.command();
        link.say(FromPeerd::Done(blocks(0..1)));
        assert_eq!(link.hear(), None);
    });
    assert_eq!(code(&peerd.run(&["blocks"])), 0);
    peerd.done();
}

#[test]
fn a_peerd_that_hangs_up_after_a_change_is_no_failure() {
    let peerd = Peerd::answering(FromPeerd::Done(Box::new(Outcome::Told(1))));
    let output = peerd.run(&["broadcast", "lunch?"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(stdout(&output), "sent to 1 peer\n");
    peerd.done();
}

/// A peerd that reports an event of an unknown kind between two known ones.
fn eclipsed() -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        link.command();
        let online = Event::new(Timestamp(0), EventKind::Session(SessionState::Online));
        link.say(FromPeerd::Event(Box::new(online.clone())));
        link.say_unknown(&value!({"event": {"at": 1, "what": {"ecl\u{1b}ipse": {"sun": true}}}}));
        link.say(FromPeerd::Event(Box::new(online)));
        link.say(FromPeerd::Done(Box::new(Outcome::Done)));
    })
}

#[test]
fn an_event_of_an_unknown_kind_is_skipped_with_a_line() {
    let peerd = eclipsed();
    let output = peerd.run(&["watch"]);
    assert_eq!((code(&output), stdout(&output).lines().count()), (0, 2));
    let told = "skipped an event of the unknown kind \"ecl\u{fffd}ipse\": update dosctl\n";
    assert_eq!(stderr(&output), told);
    peerd.done();
    let peerd = eclipsed();
    let output = peerd.run(&["watch", "--json"]);
    assert_eq!((code(&output), stdout(&output).lines().count()), (0, 2));
    assert_eq!(json(&stderr(&output))["skipped"]["event"], "ecl\u{1b}ipse");
    peerd.done();
}

#[test]
fn an_unknown_outcome_is_a_failure_that_says_what_to_update() {
    for message in [value!({"done": {"eclipse": {"sun": true}}}), value!({"eclipse": 1})] {
        let peerd = Peerd::new(1, move |_, mut link: Link| {
            link.command();
            link.say_unknown(&message);
        });
        let output = peerd.run(&["status", "--json"]);
        let error = json(&stderr(&output));
        assert_eq!((code(&output), &error["error"]["code"]), (1, &"internal".into()));
        assert_eq!(error["error"]["hint"], "update dosctl");
        peerd.done();
    }
}
