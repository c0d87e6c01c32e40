//! Lines that tell how far a transfer is.

use std::fs;

use dos_protocol::{
    Allowance, ImageId,
    control::{Command, FromPeerd, Outcome, Progress, Step},
};

use crate::harness::{Link, Peerd, code, json, stderr, stdout};

fn fetching() -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        assert!(matches!(link.command(), Command::Fetch(_)));
        for done in [0, 500, 1000] {
            link.say(FromPeerd::Progress(Progress { step: Step::Fetching, done, total: 1000 }));
        }
        link.say(FromPeerd::Done(Box::new(Outcome::Fetched {
            path: "7xKqPm2R/sea".parse().unwrap(),
            bytes: 1000,
            way: None,
            round_trip_us: None,
        })));
    })
}

fn viewing() -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        assert!(matches!(link.command(), Command::View { .. }));
        link.say(FromPeerd::Progress(Progress { step: Step::Opening, done: 0, total: 300 }));
        link.say(FromPeerd::Data(vec![7; 100]));
        link.say(FromPeerd::Data(vec![7; 200]));
        link.say(FromPeerd::Done(Box::new(Outcome::Viewed {
            path: "7xKqPm2R/sea".parse().unwrap(),
            image_id: ImageId::from([7; 32]),
            bytes: 300,
            views_left: Allowance::Views(1),
        })));
        drop(link.hear());
    })
}

#[test]
fn a_fetch_tells_its_progress_in_lines_before_its_answer() {
    let peerd = fetching();
    let output = peerd.run(&["fetch", "bob/sea", "--json", "--progress"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    let lines: Vec<_> = stdout(&output).lines().map(json).collect();
    let (answer, progress) = lines.split_last().unwrap();
    assert_eq!((&answer["schema"], &answer["bytes"]), (&1.into(), &1000.into()));
    for line in progress {
        assert_eq!((&line["schema"], &line["progress"]["step"]), (&1.into(), &"fetching".into()));
        assert_eq!(line["progress"]["total"], 1000);
        assert!(line["progress"]["rate"].is_u64());
    }
    // One in between may be too soon after the first.
    assert_eq!(progress.first().unwrap()["progress"]["done"], 0);
    assert_eq!(progress.last().unwrap()["progress"]["done"], 1000);
    assert_eq!(progress.last().unwrap()["progress"]["left_ms"], 0);
    peerd.done();
}

#[test]
fn without_json_or_the_option_there_are_no_lines() {
    for args in [["fetch", "bob/sea", "--progress"], ["fetch", "bob/sea", "--json"]] {
        let peerd = fetching();
        let output = peerd.run(&args);
        assert_eq!((code(&output), stderr(&output)), (0, String::new()));
        assert_eq!(stdout(&output).lines().count(), 1);
        peerd.done();
    }
}

#[test]
fn a_view_to_standard_output_keeps_its_progress_apart_from_the_image() {
    let peerd = viewing();
    let output = peerd.run(&["view", "bob/sea", "-o", "-", "--json", "--progress"]);
    assert_eq!((code(&output), output.stdout.as_slice()), (0, [7; 300].as_slice()));
    let lines: Vec<_> = stderr(&output).lines().map(json).collect();
    let done: Vec<_> = lines.iter().map(|line| line["progress"]["done"].as_u64().unwrap()).collect();
    assert_eq!((done.first(), done.last()), (Some(&0), Some(&300)));
    assert!(lines.iter().all(|line| line["progress"]["step"] == "opening"));
    peerd.done();
    let peerd = viewing();
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg", "--json", "--progress"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(json(stdout(&output).lines().last().unwrap())["views_left"], 1);
    assert!(stdout(&output).lines().count() >= 3);
    peerd.done();
}

#[test]
fn an_addition_tells_its_progress() {
    let peerd = Peerd::new(1, |_, mut link: Link| {
        assert!(matches!(link.command(), Command::Add { .. }));
        assert_eq!(link.file().len(), 1_000_000);
        link.say(FromPeerd::Failed(dos_protocol::WireError::new(dos_protocol::Code::Invalid, "no image")));
    });
    fs::write(peerd.path("sea.jpg"), [&b"GIF89a"[..], &vec![1; 999_994]].concat()).unwrap();
    let output = peerd.run(&["add", "sea.jpg", "--json", "--progress"]);
    assert_eq!(code(&output), 8);
    let lines: Vec<_> = stdout(&output).lines().map(json).collect();
    let last = &lines.last().unwrap()["progress"];
    assert_eq!((&last["step"], &last["done"]), (&"adding".into(), &1_000_000.into()));
    peerd.done();
}
