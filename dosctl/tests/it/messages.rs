//! `send` and `messages` against a peerd that follows a script.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use dos_protocol::{
    MessageId, Timestamp,
    control::{Command, FromPeerd, Message, MessagesQuery, Outcome, ToPeerd},
    directory::Delivery,
    limits::MESSAGE_BYTES_MAX,
};
use dos_testing::Guarded;

use crate::harness::{Link, Peerd, code, json, stderr, stdout};

fn message(place: u64) -> Message {
    Message {
        place,
        message: MessageId::from([1; 16]),
        from: "9BobBobB".parse().unwrap(),
        from_name: Some("bob".parse().unwrap()),
        to: Some("7xKqPm2R".parse().unwrap()),
        to_name: None,
        sent_at: Timestamp(0),
        read: false,
        direct: false,
        delivery: None,
        text: format!("text {place}").into(),
        signed: true,
    }
}

fn page(places: std::ops::RangeInclusive<u64>, more: bool) -> FromPeerd {
    FromPeerd::Done(Box::new(Outcome::Messages { messages: places.map(message).collect(), more }))
}

fn sent() -> FromPeerd {
    FromPeerd::Done(Box::new(Outcome::Sent {
        message: MessageId::from([1; 16]),
        to: "9BobBobB".parse().unwrap(),
        to_name: Some("bob".parse().unwrap()),
        delivery: Delivery::Queued,
        way: None,
    }))
}

fn query(link: &mut Link) -> MessagesQuery {
    match link.command() {
        Command::Messages(query) => query,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_from_standard_input_loses_only_its_last_line_break() {
    let peerd = Peerd::new(1, |_, mut link| {
        let text = "a\n\nb\n".into();
        assert_eq!(link.command(), Command::Send { to: "bob".parse().unwrap(), text, direct: true });
        link.say(sent());
    });
    let mut command = peerd.dosctl(&["send", "bob", "--direct"]);
    let mut child = Guarded::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdin().write_all(b"a\n\nb\n\n").unwrap();
    let output = child.output();
    assert_eq!((code(&output), stdout(&output)), (0, "queued for bob until it is online\n".into()));
    peerd.done();
}

#[test]
fn what_cannot_be_a_message_is_not_sent() {
    let long = "x".repeat(MESSAGE_BYTES_MAX + 1);
    let peerd = Peerd::new(0, |_, _| ());
    for args in [&["send", "bob", " "][..], &["send", "bob", &long], &["send", "bob"], &["broadcast", ""]] {
        let output = peerd.run(args);
        assert_eq!(code(&output), 8, "{}", stderr(&output));
    }
    peerd.done();
}

#[test]
fn messages_count_as_read_only_when_every_page_is_shown() {
    let peerd = Peerd::new(1, |_, mut link| {
        assert_eq!(query(&mut link).limit, Some(20));
        link.say(page(1..=2, false));
        assert_eq!(link.hear(), Some(ToPeerd::Shown));
    });
    let output = peerd.run(&["messages", "--json"]);
    let shown = json(&stdout(&output));
    assert_eq!((code(&output), shown["messages"].as_array().unwrap().len()), (0, 2));
    assert_eq!(shown["messages"][1]["text"], "text 2");
    peerd.done();
    // Nobody reads what is printed: nothing is said to be shown.
    let peerd = Peerd::new(1, |_, mut link| {
        query(&mut link);
        link.say(page(1..=2, false));
        assert_eq!(link.hear(), None);
    });
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = peerd.dosctl(&["messages"]).stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
    peerd.done();
}

#[test]
fn follow_asks_again_after_the_last_one_that_it_has_shown() {
    let peerd = Peerd::new(3, |number, mut link| {
        let asked = query(&mut link);
        assert!(asked.wait && asked.unread);
        assert_eq!(asked.after, [None, Some(2), Some(3)][number]);
        match number {
            0 => link.say(page(1..=2, false)),
            1 => link.say(page(3..=3, false)),
            _ => return,
        }
        assert_eq!(link.hear(), Some(ToPeerd::Shown));
    });
    let mut child = peerd.spawn(&["messages", "--follow", "--unread", "--json"]);
    let lines = BufReader::new(child.stdout()).lines();
    let places: Vec<u64> = lines.map(|line| json(&line.unwrap())["place"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(child.wait().code(), Some(3), "peerd went away");
    peerd.done();
}

#[test]
fn json_reaches_a_terminal_without_what_moves_or_hides_text() {
    let hostile =
        "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}gpj.exe\u{61c}\u{2066}\u{feff}\u{e0041} é 👩\u{200d}🚀\u{2028}b";
    let peerd = Peerd::new(1, move |_, mut link| {
        query(&mut link);
        let message = Message { text: hostile.into(), ..message(1) };
        link.say(FromPeerd::Done(Box::new(Outcome::Messages { messages: vec![message], more: false })));
        link.hear();
    });
    let shown = stdout(&peerd.run(&["messages", "--json"]));
    assert!(shown.trim_end().chars().all(|c| !dos_protocol::text::is_deceptive(c)), "{shown:?}");
    assert!(shown.contains("\\u202e") && shown.contains("\\udb40\\udc41"), "{shown}");
    assert_eq!(json(&shown)["messages"][0]["text"], hostile);
    peerd.done();
}
