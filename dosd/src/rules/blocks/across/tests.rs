//! The table, against the document, for every operation and every update that there is.

use std::collections::BTreeMap;

use dos_protocol::{
    directory::{FromDirectory, ToDirectory},
    frame,
};
use serde::de::DeserializeOwned;
use strum::VariantNames;

use super::{super::super::samples::*, *};

const TO_DIRECTORY: &str = include_str!(
    "../../../../../protocol/tests/it/golden/snapshots/it__golden__directory__to_the_directory.snap"
);
const FROM_DIRECTORY: &str = include_str!(
    "../../../../../protocol/tests/it/golden/snapshots/it__golden__directory__from_the_directory.snap"
);
const DOCUMENT: &str = include_str!("../../../../../docs/protocol.md");

const OPEN: Between = Between { by_other: false, by_actor: false };
const BLOCKED: Between = Between { by_other: true, by_actor: false };
const BLOCKING: Between = Between { by_other: false, by_actor: true };
const BOTH: Between = Between { by_other: true, by_actor: true };

/// The golden messages of the protocol, which has one of every kind.
fn golden<T: DeserializeOwned>(snapshot: &str) -> Vec<T> {
    let is_hex = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |line: &str, at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
    let bytes = |line: &str| (0..line.len()).step_by(2).map(|at| byte(line, at)).collect::<Vec<_>>();
    let messages = snapshot.lines().filter(is_hex).map(|line| frame::decode(&bytes(line)).unwrap());
    messages.collect()
}

fn operations() -> BTreeMap<&'static str, Op> {
    let ops = golden(TO_DIRECTORY).into_iter().filter_map(|message| match message {
        ToDirectory::Request { op, .. } => Some((op.name(), op)),
        _ => None,
    });
    ops.collect()
}

fn updates() -> Vec<Update> {
    let updates = golden(FROM_DIRECTORY).into_iter().filter_map(|message| match message {
        FromDirectory::Update { update, .. } => Some(update),
        _ => None,
    });
    updates.collect()
}

fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Later => "done; told later",
        Outcome::Untold => "done; not told",
        Outcome::Offline => "as if offline",
        Outcome::Refused => "refused",
    }
}

#[test]
fn the_document_says_of_every_operation_what_becomes_of_it_across_a_block() {
    let operations = operations();
    assert_eq!(operations.len(), Op::VARIANTS.len(), "no golden message of an operation");
    let told: BTreeMap<&str, (&str, &str)> = DOCUMENT
        .lines()
        .skip_while(|line| *line != "| operation | by the blocked peer | by the blocker |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [names, by_blocked, by_blocker] = cells[..] else { panic!("{line}") };
            let names = names.split(", ").map(|name| name.trim_matches('`'));
            names.map(move |name| (name, (by_blocked, by_blocker))).collect::<Vec<_>>()
        })
        .collect();
    for (name, op) in &operations {
        let Row { by_blocked, by_blocker } = row(act(op));
        assert_eq!(told.get(name), Some(&(words(by_blocked), words(by_blocker))), "{name}");
    }
    let Row { by_blocked, by_blocker } = row(Act::Give);
    assert_eq!(told.get("share` of a new grant"), Some(&(words(by_blocked), words(by_blocker))));
    assert_eq!(told.len(), operations.len() + 1, "{told:?}");
}

#[test]
fn of_two_blocks_the_stricter_counts_and_without_one_everything_is_done() {
    for (act, expected) in [
        (Act::Own, [Outcome::Done; 3]),
        (Act::Look, [Outcome::Done; 3]),
        (Act::Find, [Outcome::Offline, Outcome::Done, Outcome::Offline]),
        (Act::Call, [Outcome::Offline, Outcome::Done, Outcome::Offline]),
        (Act::Write, [Outcome::Refused; 3]),
        (Act::Announce, [Outcome::Untold; 3]),
        (Act::Ask, [Outcome::Refused; 3]),
        (Act::Withdraw, [Outcome::Untold; 3]),
        (Act::Answer, [Outcome::Refused; 3]),
        (Act::Give, [Outcome::Refused; 3]),
        (Act::Change, [Outcome::Later, Outcome::Done, Outcome::Later]),
        (Act::Use, [Outcome::Later, Outcome::Done, Outcome::Later]),
        (Act::Describe, [Outcome::Later; 3]),
        (Act::Remove, [Outcome::Later, Outcome::Done, Outcome::Later]),
        (Act::Assert, [Outcome::Later, Outcome::Done, Outcome::Later]),
        (Act::Store, [Outcome::Done, Outcome::Untold, Outcome::Untold]),
    ] {
        assert_eq!([BLOCKED, BLOCKING, BOTH].map(|between| outcome(act, between)), expected, "{act:?}");
        assert_eq!(outcome(act, OPEN), Outcome::Done, "{act:?}");
    }
}

#[test]
fn what_is_refused_is_refused_by_name_and_to_the_blocker_as_its_own_doing() {
    let bob = || record();
    let name = bob().name;
    let refuse = |between| admit(Act::Write, between, (bob().id, name.as_ref()));
    assert_eq!(refuse(OPEN), Ok(()));
    assert_eq!(admit(Act::Change, BOTH, (bob().id, None)), Ok(()));
    for (between, text, hint) in [
        (BLOCKED, "bob takes nothing from you", None),
        (BLOCKING, "you have blocked bob", Some("dosctl unblock bob")),
        (BOTH, "you have blocked bob", Some("dosctl unblock bob")),
    ] {
        let error = refuse(between).unwrap_err();
        assert_eq!((&*error.message, error.reason), (text, Some(Reason::Blocked)));
        assert_eq!(error.hint.as_deref(), hint);
    }
    let error = admit(Act::Give, BLOCKED, (bob().id, None)).unwrap_err();
    assert_eq!(*error.message, format!("{} takes nothing from you", bob().id));
}

#[test]
fn every_update_across_a_block_is_owed_withheld_or_dropped_as_in_the_table() {
    let updates = updates();
    let kinds: std::collections::BTreeSet<_> = updates.iter().map(Update::kind).collect();
    assert_eq!(kinds.len(), Update::VARIANTS.len(), "no golden message of an update");
    for update in &updates {
        for act in [Act::Change, Act::Describe, Act::Write, Act::Store, Act::Announce, Act::Own] {
            assert_eq!(passage(act, OPEN, update), Passage::Owed, "{update:?}");
        }
        let expected = match update.kind() {
            "void" | "operator" => [Passage::Owed; 6],
            "grant" | "viewed" | "removed" => [
                Passage::Withheld,
                Passage::Owed,
                Passage::Withheld,
                Passage::Withheld,
                Passage::Owed,
                Passage::Dropped,
            ],
            "request" | "decision" => [Passage::Dropped; 6],
            "renamed" | "message" | "delivered" | "greeting" => [
                Passage::Dropped,
                Passage::Owed,
                Passage::Dropped,
                Passage::Dropped,
                Passage::Owed,
                Passage::Dropped,
            ],
            other => panic!("{other} is not in this table"),
        };
        let passed = [
            passage(Act::Change, BLOCKED, update),
            passage(Act::Change, BLOCKING, update),
            passage(Act::Change, BOTH, update),
            passage(Act::Describe, BLOCKING, update),
            passage(Act::Store, BLOCKED, update),
            passage(Act::Store, BLOCKING, update),
        ];
        assert_eq!(passed, expected, "{update:?}");
    }
}
