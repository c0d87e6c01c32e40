//! Files on their way to peerd.

use std::{fs, sync::mpsc::sync_channel};

use dos_protocol::{
    Code, ImageId, ImageName, ImageNo, SealedHash, WireError,
    control::{Command, FromPeerd, Outcome},
    model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
};

use crate::harness::{Link, Peerd, code, json, stderr, stdout};

fn image(name: ImageName, bytes: u64) -> FromPeerd {
    FromPeerd::Done(Box::new(Outcome::Image(Box::new(ImageInfo {
        no: ImageNo(1),
        owner: "7xKqPm2R".parse().unwrap(),
        name,
        original: Original {
            image_id: ImageId::from([7; 32]),
            format: Format::Png,
            width: 3,
            height: 2,
            bytes,
        },
        sealed: SealedCopy { hash: SealedHash::from([1; 32]), bytes },
        preview: PreviewInfo { format: Format::Png, width: 3, height: 2, bytes: 9 },
        access: None,
        record: None,
        signature: None,
    }))))
}

fn take(link: &mut Link) -> (ImageName, Vec<u8>) {
    let Command::Add { name, .. } = link.command() else { panic!("not an add") };
    let bytes = link.file();
    link.say(image(name.clone(), u64::try_from(bytes.len()).unwrap()));
    (name, bytes)
}

#[test]
fn a_file_arrives_bit_for_bit_under_its_own_name() {
    let (tell, told) = sync_channel(1);
    let peerd = Peerd::new(1, move |_, mut link| tell.send(take(&mut link)).unwrap());
    let bytes: Vec<u8> = (0..1_000_003u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    fs::write(peerd.path("Sea at dawn.png"), &bytes).unwrap();
    let output = peerd.run(&["add", "Sea at dawn.png"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(stdout(&output), "added Sea at dawn: png 3x2, 1.00 MB\n");
    let (name, arrived) = told.recv().unwrap();
    assert_eq!(name.as_str(), "Sea at dawn");
    assert!(arrived == bytes);
    peerd.done();
}

#[test]
fn an_answer_before_the_end_of_the_file_is_heard() {
    let peerd = Peerd::new(1, |_, mut link| {
        link.command();
        link.say(FromPeerd::Failed(WireError::new(Code::Conflict, "the name \"sea\" is taken")));
    });
    fs::write(peerd.path("sea.png"), vec![0; 8 << 20]).unwrap();
    let output = peerd.run(&["add", "sea.png", "--json"]);
    assert_eq!(code(&output), 7, "{}", stderr(&output));
    assert_eq!(json(&stderr(&output))["error"]["message"], "the name \"sea\" is taken");
    assert_eq!(stdout(&output), "");
    peerd.done();
}

#[test]
fn after_a_failure_the_other_files_follow_and_the_first_failure_decides() {
    let peerd = Peerd::new(3, |number, mut link| {
        if number == 1 {
            link.command();
            link.file();
            link.say(FromPeerd::Failed(WireError::new(Code::Invalid, "not an image")));
        } else {
            take(&mut link);
        }
    });
    for name in ["a.png", "b.png", "c.png"] {
        fs::write(peerd.path(name), name).unwrap();
    }
    let output = peerd.run(&["add", "missing.png", "a.png", "b.png", "c.png", "--json"]);
    assert_eq!(code(&output), 5);
    let images = json(&stdout(&output));
    assert_eq!(images["images"].as_array().unwrap().len(), 2);
    let error = json(&stderr(&output));
    assert_eq!(error["error"]["code"], "not_found");
    assert_eq!(error["error"]["others"][0]["code"], "invalid");
    assert_eq!(error["error"]["others"][0]["message"], "\"b.png\": not an image");
    peerd.done();
}

#[test]
fn what_is_no_file_is_told_without_asking_peerd() {
    let peerd = Peerd::new(0, |_, _| {});
    fs::create_dir(peerd.path("folder")).unwrap();
    fs::write(peerd.path("-"), "x").unwrap();
    fs::write(peerd.path("a"), "x").unwrap();
    for (args, exit) in [
        (&["add", "folder"][..], 8),
        (&["add", "missing"], 5),
        (&["add", "./-"], 8),
        (&["add", "a", "--name", "x/y"], 8),
        (&["add", "a", "a", "--name", "x"], 2),
    ] {
        let output = peerd.run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    peerd.done();
}
