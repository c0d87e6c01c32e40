//! Originals on their way to a file or to standard output.

use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        process::CommandExt,
    },
    path::PathBuf,
    sync::mpsc::{Receiver, sync_channel},
};

use dos_protocol::{
    Allowance, Code, ImageId, WireError,
    control::{Command, FromPeerd, Outcome, Progress, Spends, Step, ToPeerd},
};
use dos_testing::Signal;

use crate::harness::{Link, Peerd, code, dosctl, json, stderr, stdout};

fn viewed(bytes: u64) -> FromPeerd {
    FromPeerd::Done(Box::new(Outcome::Viewed {
        path: "7xKqPm2R/sea".parse().unwrap(),
        image_id: ImageId::from([7; 32]),
        bytes,
        views_left: Allowance::Views(1),
    }))
}

fn bytes() -> Vec<u8> {
    (0..=255).collect::<Vec<u8>>().repeat(5000)
}

/// A peerd of the first release: sends the image at once and announces `announced` bytes at the end, then expects to hear that it
/// was shown if that is right.
fn showing(announced: usize) -> Peerd {
    Peerd::new(1, move |_, mut link: Link| {
        assert!(matches!(link.command(), Command::View { offline: false, .. }));
        link.say(FromPeerd::Progress(Progress { step: Step::Fetching, done: 1, total: 2 }));
        for piece in bytes().chunks(100_000) {
            link.say(FromPeerd::Data(piece.into()));
        }
        link.say(viewed(u64::try_from(announced).unwrap()));
        // Only a picture that is where it belongs has been shown.
        let shown = link.hear();
        assert_eq!(shown, (announced == bytes().len()).then_some(ToPeerd::Shown));
    })
}

#[test]
fn a_view_is_saved_whole() {
    let peerd = showing(bytes().len());
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert_eq!(stdout(&output), "saved bob/sea (1.28 MB), 1 view left, in sea.jpg\n");
    assert!(fs::read(peerd.path("sea.jpg")).unwrap() == bytes());
    assert_eq!(peerd.files(), ["sea.jpg"]);
    peerd.done();
}

#[test]
fn a_saved_view_has_its_json_document() {
    let peerd = showing(bytes().len());
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg", "--json"]);
    let document = json(&stdout(&output));
    assert_eq!(document["image"], "7xKqPm2R/sea");
    assert_eq!((&document["bytes"], &document["views_left"]), (&1_280_000.into(), &1.into()));
    assert_eq!(stderr(&output), "");
    peerd.done();
}

#[test]
fn standard_output_gets_the_bytes_and_nothing_else() {
    for json in [false, true] {
        let peerd = showing(bytes().len());
        let args = ["view", "bob/sea", "-o", "-", "--json"];
        let output = peerd.run(if json { &args } else { &args[..4] });
        assert_eq!(code(&output), 0);
        assert!(output.stdout == bytes());
        let summary = if json { "" } else { "viewed bob/sea (1.28 MB), 1 view left\n" };
        assert_eq!(stderr(&output), summary);
        peerd.done();
    }
}

/// Has a command run as a user to whom permissions apply, which they do not to root.
fn as_ordinary_user(command: &mut std::process::Command) {
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
}

#[test]
fn a_directory_that_cannot_be_synced_is_a_warning_after_a_view() {
    let peerd = showing(bytes().len());
    let shelf = peerd.path("shelf");
    fs::create_dir(&shelf).unwrap();
    // Files can be made in it, and it cannot be opened.
    fs::set_permissions(&shelf, fs::Permissions::from_mode(0o333)).unwrap();
    for (path, mode) in [(peerd.path("."), 0o711), (peerd.socket(), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = peerd.dosctl(&["view", "bob/sea", "-o", "shelf/sea.jpg"]);
    as_ordinary_user(&mut command);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), "saved bob/sea (1.28 MB), 1 view left, in shelf/sea.jpg\n");
    assert!(
        stderr(&output).starts_with("warning: cannot sync the directory \"shelf\""),
        "{}",
        stderr(&output)
    );
    fs::set_permissions(&shelf, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(fs::read(peerd.path("shelf/sea.jpg")).unwrap() == bytes());
    peerd.done();
}

#[test]
fn an_original_is_for_its_user_alone_unless_other_permissions_are_wanted() {
    for (umask, wanted, expected) in [("000", None, 0o600), ("277", None, 0o400), ("077", Some("644"), 0o644)]
    {
        let peerd = showing(bytes().len());
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_dosctl"));
        command
            .arg("--socket")
            .arg(peerd.socket())
            .args(["view", "bob/sea", "-o"])
            .arg(peerd.path("sea.jpg"));
        command.args(wanted.map(|mode| ["--mode", mode]).into_iter().flatten());
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let mode = fs::metadata(peerd.path("sea.jpg")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "umask {umask}, --mode {wanted:?}");
        peerd.done();
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_peerd_is_asked() {
    let peerd = Peerd::new(0, |_, _| {});
    fs::create_dir(peerd.path("folder")).unwrap();
    let place = |name: &str| peerd.path(name).to_str().unwrap().to_owned();
    for (place, exit) in [(place("folder"), 2), (place("new/"), 2), (place("missing/sea.jpg"), 5)] {
        let output = peerd.run(&["view", "bob/sea", "-o", &place]);
        assert_eq!(code(&output), exit, "{place}: {}", stderr(&output));
        // The socket takes connections but nobody answers on it: had it been asked, this would not have ended.
        assert!(stderr(&output).starts_with("error: cannot write"), "{}", stderr(&output));
    }
    assert_eq!(code(&peerd.run(&["view", "bob/sea"])), 2);
    assert_eq!(peerd.files(), ["folder"]);
    peerd.done();
}

#[test]
fn a_view_that_fails_on_its_way_leaves_the_old_file() {
    let broken = Peerd::new(1, |_, mut link| {
        link.command();
        link.say(FromPeerd::Data(vec![1; 1000]));
        link.say(FromPeerd::Failed(WireError::new(Code::Invalid, "the sealed copy is damaged")));
    });
    let hung_up = Peerd::new(1, |_, mut link| {
        link.command();
        link.say(FromPeerd::Data(vec![1; 1000]));
    });
    for (peerd, exit) in [(broken, 8), (hung_up, 3), (showing(bytes().len() + 1), 1)] {
        fs::write(peerd.path("sea.jpg"), "old").unwrap();
        let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg", "--force"]);
        assert_eq!(code(&output), exit, "{}", stderr(&output));
        assert_eq!(fs::read(peerd.path("sea.jpg")).unwrap(), b"old");
        assert_eq!(peerd.files(), ["sea.jpg"]);
        peerd.done();
    }
}

/// Says that so many bytes will come, and sends them once there is room.
fn announcing(announced: u64) -> Peerd {
    Peerd::new(1, move |_, mut link: Link| {
        assert!(matches!(link.command(), Command::View { asks: true, .. }));
        link.say(FromPeerd::Progress(Progress { step: Step::Fetching, done: 1, total: 2 }));
        link.say(FromPeerd::Ready { bytes: announced, spends: None });
        if link.hear() != Some(ToPeerd::Go) {
            return;
        }
        for piece in bytes().chunks(100_000) {
            link.say(FromPeerd::Data(piece.into()));
        }
        link.say(viewed(u64::try_from(bytes().len()).unwrap()));
        assert_eq!(link.hear(), None, "the view was over before its first byte came");
    })
}

#[test]
fn a_view_is_spent_once_there_is_room_for_it() {
    let whole = u64::try_from(bytes().len()).unwrap();
    let peerd = announcing(whole);
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    assert!(fs::read(peerd.path("sea.jpg")).unwrap() == bytes());
    assert_eq!(peerd.files(), ["sea.jpg"]);
    peerd.done();
    let peerd = announcing(whole);
    assert!(peerd.run(&["view", "bob/sea", "-o", "-"]).stdout == bytes());
    peerd.done();
}

#[test]
fn a_view_for_which_there_is_no_room_is_not_spent() {
    // A PiB: no disk here has that much.
    let peerd = announcing(1 << 50);
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write \"sea.jpg\"; no view was spent"), "{}", stderr(&output));
    assert_eq!(peerd.files(), Vec::<String>::new());
    peerd.done();
    // Nor is one for which there is no room where standard output goes.
    let peerd = announcing(1 << 50);
    let file = fs::File::create(peerd.path("out")).unwrap();
    let output = peerd.dosctl(&["view", "bob/sea", "-o", "-"]).stdout(file).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert_eq!(fs::read(peerd.path("out")).unwrap(), b"");
    peerd.done();
}

#[test]
fn a_file_that_exists_is_refused_before_peerd_is_asked_and_replaced_by_force() {
    let peerd = Peerd::new(0, |_, _| {});
    fs::write(peerd.path("sea.jpg"), "old").unwrap();
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg"]);
    assert_eq!(code(&output), 7);
    let expected = "error: \"sea.jpg\" exists already\nhint: dosctl view bob/sea -o FILE --force\n";
    assert_eq!(stderr(&output), expected);
    assert_eq!(fs::read(peerd.path("sea.jpg")).unwrap(), b"old");
    peerd.done();
    let peerd = announcing(u64::try_from(bytes().len()).unwrap());
    fs::write(peerd.path("sea.jpg"), "old").unwrap();
    let output = peerd.run(&["view", "bob/sea", "-o", "sea.jpg", "--force"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(fs::read(peerd.path("sea.jpg")).unwrap() == bytes());
    peerd.done();
}

#[test]
fn a_picture_that_is_replaced_meanwhile_is_announced_again() {
    let peerd = Peerd::new(1, move |_, mut link: Link| {
        link.command();
        for announced in [6, 7] {
            link.say(FromPeerd::Ready { bytes: announced, spends: None });
            assert_eq!(link.hear(), Some(ToPeerd::Go));
        }
        link.say(FromPeerd::Data(b"GIF89a!".into()));
        link.say(viewed(7));
    });
    assert_eq!(code(&peerd.run(&["view", "bob/sea", "-o", "sea.gif"])), 0);
    assert_eq!(fs::read(peerd.path("sea.gif")).unwrap(), b"GIF89a!");
    peerd.done();
}

/// A peerd that sends a piece and then waits until dosctl is gone.
fn stalling() -> (Peerd, Receiver<()>) {
    let (begin, begun) = sync_channel(1);
    let peerd = Peerd::new(1, move |_, mut link| {
        link.command();
        link.say(FromPeerd::Data(vec![1; 1000]));
        begin.send(()).unwrap();
        assert!(link.hear().is_none());
    });
    (peerd, begun)
}

#[test]
fn an_interrupted_view_leaves_nothing_behind() {
    for (signal, exit) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (peerd, begun) = stalling();
        fs::write(peerd.path("sea.jpg"), "old").unwrap();
        let child = peerd.spawn(&["view", "bob/sea", "-o", "sea.jpg", "--force"]);
        begun.recv().unwrap();
        assert_eq!(peerd.files().len(), 2);
        child.signal(signal);
        let output = child.output();
        assert_eq!(code(&output), exit);
        assert_eq!(peerd.files(), ["sea.jpg"]);
        assert_eq!(fs::read(peerd.path("sea.jpg")).unwrap(), b"old");
        peerd.done();
    }
}

#[test]
fn a_closed_pipe_ends_a_view_quietly() {
    let (closed, close) = sync_channel::<()>(1);
    let peerd = Peerd::new(1, move |_, mut link| {
        link.command();
        close.recv().unwrap();
        link.say(FromPeerd::Data(vec![1; 1000]));
        assert!(link.hear().is_none());
    });
    let mut child = peerd.spawn(&["view", "bob/sea", "-o", "-"]);
    drop(child.stdout());
    closed.send(()).unwrap();
    let output = child.output();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    peerd.done();
}

/// What `view --open` comes to on a desktop whose `xdg-open` is this script, and the files that are left.
fn opened_by(peerd: &Peerd, xdg_open: &str) -> (std::process::Output, Vec<PathBuf>) {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (socket, root, bin) =
        (memory.path().join("s"), memory.path().join("s.open"), memory.path().join("bin"));
    std::os::unix::fs::symlink(peerd.socket(), &socket).unwrap();
    for directory in [&root, &bin] {
        fs::DirBuilder::new().mode(0o700).create(directory).unwrap();
    }
    fs::write(bin.join("xdg-open"), format!("#!/bin/sh\n{xdg_open}\n")).unwrap();
    fs::set_permissions(bin.join("xdg-open"), fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let mut process = dosctl(&["view", "bob/sea", "--open", "--socket", socket.to_str().unwrap()]);
    let output =
        process.env("PATH", path).env("DISPLAY", ":7").env("SEEN", peerd.path("seen")).output().unwrap();
    let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let names = entries(root).flat_map(entries).map(|path| path.file_name().unwrap().into());
    (output, names.collect())
}

#[test]
fn a_picture_handed_on_by_xdg_open_stays_in_memory() {
    let peerd = showing(bytes().len());
    let (output, files) = opened_by(&peerd, "cp \"$1\" \"$SEEN\"");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), "opened bob/sea (1.28 MB), 1 view left\n");
    assert!(stderr(&output).contains("stays in memory until peerd stops"), "{}", stderr(&output));
    assert!(fs::read(peerd.path("seen")).unwrap() == bytes());
    assert_eq!(files, [PathBuf::from("sea.image")]);
    peerd.done();
}

#[test]
fn a_picture_that_xdg_open_cannot_open_is_gone_and_the_view_stays_open() {
    let peerd = Peerd::new(1, |_, mut link: Link| {
        link.command();
        link.say(FromPeerd::Data(b"GIF89a".into()));
        link.say(viewed(6));
        assert_eq!(link.hear(), None);
    });
    let (output, files) = opened_by(&peerd, "exit 3");
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("the view stays open"), "{}", stderr(&output));
    assert_eq!(files, Vec::<PathBuf>::new());
    peerd.done();
}

#[test]
fn without_a_desktop_nothing_is_opened_and_no_view_spent() {
    let peerd = Peerd::new(0, |_, _| ());
    let output = peerd.run(&["view", "bob/sea", "--open"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("neither DISPLAY nor WAYLAND_DISPLAY is set"), "{}", stderr(&output));
    peerd.done();
}

#[test]
fn a_script_spends_the_last_view_without_being_asked() {
    let peerd = Peerd::new(1, |_, mut link: Link| {
        link.command();
        let spends = Some(Spends { left: Allowance::Views(1) });
        link.say(FromPeerd::Ready { bytes: 1_280_000, spends });
        assert_eq!(link.hear(), Some(ToPeerd::Go));
        for piece in bytes().chunks(100_000) {
            link.say(FromPeerd::Data(piece.into()));
        }
        link.say(viewed(1_280_000));
    });
    let output = peerd.run(&["view", "bob/sea", "-o", "-"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(output.stdout == bytes());
    peerd.done();
}
