//! Files on their way to peerd.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, net::UnixListener},
    path::PathBuf,
    process::Command as Process,
    sync::{Arc, Mutex, mpsc::sync_channel},
    thread,
    time::Duration,
};

use dos_protocol::{
    Code, ImageId, ImageName, ImageNo, SealedHash, WireError,
    control::{Command, FromPeerd, Outcome, ToPeerd},
    model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
};

use dos_testing::PATIENCE;

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
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
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
    let mut bytes: Vec<u8> = (0..1_000_003u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    bytes[..6].copy_from_slice(b"GIF89a");
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
    fs::write(peerd.path("sea.png"), [&b"GIF89a"[..], &vec![0; 8 << 20]].concat()).unwrap();
    let output = peerd.run(&["add", "sea.png", "--json"]);
    assert_eq!(code(&output), 7, "{}", stderr(&output));
    assert_eq!(json(&stderr(&output))["error"]["message"], "the name \"sea\" is taken");
    assert_eq!(stdout(&output), "");
    peerd.done();
}

#[test]
fn after_a_failure_the_other_files_follow_and_the_first_failure_decides() {
    let peerd = Peerd::new(3, |_, mut link| {
        let Command::Add { name, .. } = link.command() else { panic!("not an add") };
        let bytes = u64::try_from(link.file().len()).unwrap();
        // Which comes first of several at once is not known.
        link.say(match name.as_str() {
            "b" => FromPeerd::Failed(WireError::new(Code::Invalid, "not an image")),
            _ => image(name, bytes),
        });
    });
    for name in ["a.png", "b.png", "c.png"] {
        fs::write(peerd.path(name), format!("GIF89a {name}")).unwrap();
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
fn several_files_are_sent_at_once_and_published_in_their_order() {
    let (tell, told) = sync_channel(100);
    let (second_waits, first_goes_on) = sync_channel(1);
    let first_goes_on = Arc::new(Mutex::new(Some(first_goes_on)));
    let peerd = Peerd::new(5, move |_, mut link| {
        let (tell, second_waits, first) = (tell.clone(), second_waits.clone(), Arc::clone(&first_goes_on));
        thread::spawn(move || {
            let Command::Add { name, options, .. } = link.command() else { panic!("not an add") };
            assert!(options.unwrap().in_turn);
            let bytes = u64::try_from(link.file().len()).unwrap();
            match name.as_str() {
                "a" => first.lock().unwrap().take().unwrap().recv_timeout(PATIENCE).unwrap(),
                // It has no turn.
                "c" => return link.say(FromPeerd::Failed(WireError::new(Code::Invalid, "not an image"))),
                _ => {}
            }
            link.say(FromPeerd::Ready { bytes, spends: None });
            if name.as_str() == "b" {
                // Ready before the first, it has to wait.
                assert!(link.is_silent(Duration::from_millis(200)));
                second_waits.send(()).unwrap();
            }
            assert_eq!(link.hear(), Some(ToPeerd::Go));
            tell.send(format!("{name} goes")).unwrap();
            link.say(image(name, bytes));
        });
    });
    for name in ["a.png", "b.png", "c.png", "d.png", "e.png"] {
        fs::write(peerd.path(name), format!("GIF89a {name}")).unwrap();
    }
    let output = peerd.run(&["add", "a.png", "b.png", "c.png", "d.png", "e.png"]);
    assert_eq!(code(&output), 8, "{}", stderr(&output));
    let shown: Vec<String> =
        stdout(&output).lines().map(|line| line.split(':').next().unwrap().into()).collect();
    assert_eq!(shown, ["added a", "added b", "added d", "added e"]);
    peerd.done();
    assert_eq!(told.iter().collect::<Vec<_>>(), ["a goes", "b goes", "d goes", "e goes"]);
}

#[test]
fn a_file_of_the_same_name_as_one_before_it_is_not_begun_before_that_one_has_ended() {
    let (begun, begins) = sync_channel(2);
    let begins = Arc::new(Mutex::new(begins));
    let peerd = Peerd::new(2, move |number, mut link| {
        begun.send(()).unwrap();
        let begins = Arc::clone(&begins);
        thread::spawn(move || {
            link.command();
            assert_eq!(link.file().len(), [6, 7][number]);
            if number == 0 {
                let begins = begins.lock().unwrap();
                begins.recv_timeout(PATIENCE).unwrap();
                assert!(begins.recv_timeout(Duration::from_millis(200)).is_err(), "the second has begun");
            }
            link.say(FromPeerd::Failed(WireError::new(Code::Invalid, "not an image")));
        });
    });
    fs::create_dir(peerd.path("other")).unwrap();
    fs::write(peerd.path("sea.gif"), "GIF89a").unwrap();
    fs::write(peerd.path("other/sea.png"), "GIF89a+").unwrap();
    let output = peerd.run(&["add", "sea.gif", "other/sea.png", "--json"]);
    let error = json(&stderr(&output));
    assert_eq!(
        (code(&output), &error["error"]["others"][0]["message"]),
        (8, &"\"other/sea.png\": not an image".into())
    );
    peerd.done();
}

#[test]
fn what_is_no_file_is_told_without_asking_peerd() {
    let peerd = Peerd::new(0, |_, _| {});
    fs::create_dir(peerd.path("folder")).unwrap();
    fs::write(peerd.path("-"), "GIF89a").unwrap();
    fs::write(peerd.path("a"), "GIF89a").unwrap();
    fs::write(peerd.path("letter"), "dear diary").unwrap();
    assert!(Process::new("mkfifo").arg(peerd.path("pipe")).status().unwrap().success());
    let _listener = UnixListener::bind(peerd.path("door")).unwrap();
    for (args, exit) in [
        (&["add", "folder"][..], 8),
        (&["add", "missing"], 5),
        (&["add", "./-"], 8),
        (&["add", "a", "--name", "x/y"], 8),
        (&["add", "a", "a", "--name", "x"], 2),
        (&["add", "letter"], 8),
        // Nobody writes to it: opening it in the usual way would never return.
        (&["add", "pipe"], 8),
        (&["add", "door"], 8),
        (&["add", "/dev/zero"], 8),
        (&["add", "-"], 2),
    ] {
        let output = peerd.run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    peerd.done();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_added() {
    let peerd = Peerd::new(1, |_, mut link| {
        let Command::Add { name, .. } = link.command() else { panic!("not an add") };
        let path = PathBuf::from(name.as_str().replace('%', "/"));
        fs::File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
        let mut pieces = 0;
        while let Some(ToPeerd::Data(piece)) = link.hear() {
            assert!(!piece.is_empty(), "it was ended as if it were whole");
            pieces += 1;
        }
        assert!(pieces > 1);
    });
    let path = peerd.path("sea.gif");
    fs::write(&path, [&b"GIF89a"[..], &vec![0; 8 << 20]].concat()).unwrap();
    // The script finds the file by the image's name.
    let name = path.to_str().unwrap().replace('/', "%");
    let output = peerd.run(&["add", "sea.gif", "--name", &name]);
    assert_eq!(code(&output), 8);
    assert!(
        stderr(&output).starts_with("error: \"sea.gif\" was changed while it was read"),
        "{}",
        stderr(&output)
    );
    peerd.done();
}

#[test]
fn standard_input_and_file_names_that_are_not_utf8_are_added() {
    let (tell, told) = sync_channel(3);
    let peerd = Peerd::new(3, move |_, mut link| tell.send(take(&mut link)).unwrap());
    fs::write(peerd.path("sea.gif"), "GIF89a sea").unwrap();
    let mut command = peerd.dosctl(&["add", "-", "--name", "sea"]);
    let output = command.stdin(fs::File::open(peerd.path("sea.gif")).unwrap()).output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    let names = [OsStr::from_bytes(b"sea\xfe.gif"), OsStr::from_bytes(b"sea\xff.gif")];
    for name in names {
        fs::write(peerd.path(".").join(name), "GIF89a").unwrap();
    }
    let output = peerd.dosctl(&["add"]).args(names).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let mut added: Vec<_> = told.try_iter().map(|(name, bytes)| (name.to_string(), bytes.len())).collect();
    // Which comes first of several at once is not known.
    added.sort();
    assert_eq!(added, [("sea".into(), 10), ("sea%FE".into(), 6), ("sea%FF".into(), 6)]);
    peerd.done();
}
