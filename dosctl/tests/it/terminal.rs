//! The program at a terminal: a pseudo-terminal whose other end answers as a terminal does, or does not.

use std::{
    fs::File,
    io::{Cursor, Read, Write},
    process::{Command as Process, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use dos_protocol::{
    Allowance, Code, ImageId, ImageNo, Reason, SealedHash, WireError,
    control::{Command, FromPeerd, Outcome, Progress, SessionState, Spends, Step, ToPeerd},
    directory::Preview,
    model::{Access, AccessState, Format, ImageInfo, Original, PeerInfo, PreviewInfo, SealedCopy},
};
use dos_testing::{Guarded, PATIENCE};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::harness::{Link, Peerd};

pub(crate) fn bob_with_sea() -> PeerInfo {
    let sea = ImageInfo {
        no: ImageNo(4),
        owner: "7xKqPm2R".parse().unwrap(),
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: ImageId::from([7; 32]),
            format: Format::Jpeg,
            width: 4000,
            height: 3000,
            bytes: 5_000_000,
        },
        sealed: SealedCopy { hash: SealedHash::from([3; 32]), bytes: 5_000_100 },
        preview: PreviewInfo { format: Format::Png, width: 64, height: 64, bytes: 200 },
        access: Some(Access {
            state: AccessState::Granted,
            views_left: Allowance::Views(1),
            expires_at: None,
            offer: false,
        }),
        record: None,
        signature: None,
        visibility: dos_protocol::Visibility::Listed,
        added_at: None,
    };
    PeerInfo {
        id: "7xKqPm2R".parse().unwrap(),
        name: Some("bob".parse().unwrap()),
        online: true,
        address: None,
        last_seen: None,
        online_since: None,
        last_end: None,
        images: vec![sea],
        key: None,
    }
}

/// What comes last of what is asked, and what a terminal says to it.
const LAST_QUESTION: &[u8] = b"\x1b[c";
const KITTY: &[u8] = b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?62;c";
const SIXEL: &[u8] = b"\x1b[6;20;10t\x1b[?62;4c";
const PLAIN: &[u8] = b"\x1b[?6c";

/// A terminal with the program in its foreground.
struct Screen {
    outer: File,
    /// The program's end; while it is open here, too, there is no end of what is written.
    inner: Option<File>,
    before: Termios,
    child: Guarded,
    pieces: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Screen {
    fn new(peerd: &Peerd, args: &[&str]) -> Self {
        Self::of(&[env!("CARGO_BIN_EXE_dosctl")], peerd, args)
    }

    /// As [`Screen::new`], of a program that is started so.
    fn of(program: &[&str], peerd: &Peerd, args: &[&str]) -> Self {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = ptsname(&outer, Vec::new()).unwrap().into_string().unwrap();
        let inner = File::options().read(true).write(true).open(name).unwrap();
        let size = Winsize { ws_row: 30, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&inner, size).unwrap();
        // setsid(1) makes it the controlling terminal of a new session.
        let mut process = Process::new("setsid");
        process.args(["--ctty", "--wait"]).args(program).args(args);
        process.arg("--socket").arg(peerd.socket()).env_clear().env("TERM", "xterm-256color");
        process.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let before = tcgetattr(&inner).unwrap();
        let end = || Stdio::from(inner.try_clone().unwrap());
        let child = Guarded::start(process.stdin(end()).stdout(end()).stderr(end()));
        let outer = File::from(outer);
        let mut reader = outer.try_clone().unwrap();
        let (piece, pieces) = sync_channel(10_000);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if piece.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { outer, inner: Some(inner), before, child, pieces, seen: Vec::new() }
    }

    /// Reads until `text` has been written.
    fn until(&mut self, text: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        while !contains(&self.seen, text) {
            assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&self.seen));
            self.seen.extend(self.pieces.recv_timeout(Duration::from_millis(50)).unwrap_or_default());
        }
    }

    /// Answers the questions.
    fn answer(&mut self, answers: &[u8]) {
        self.until(LAST_QUESTION);
        self.outer.write_all(answers).unwrap();
        self.seen.clear();
    }

    /// Everything that is written to its end, the exit code, and that the modes are as before.
    fn end(mut self) -> (String, Option<i32>) {
        let deadline = Instant::now() + PATIENCE;
        let code = loop {
            self.seen.extend(self.pieces.recv_timeout(Duration::from_millis(5)).unwrap_or_default());
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
        };
        let inner = self.inner.take().unwrap();
        let after = tcgetattr(&inner).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert!(after.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        // Now nobody holds it, and what was written can be read to its end.
        drop(inner);
        while let Ok(piece) = self.pieces.recv_timeout(PATIENCE) {
            self.seen.extend(piece);
        }
        (String::from_utf8_lossy(&self.seen).replace("\r\n", "\n"), code)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

/// A PNG of a red left half and a blue right one.
fn flag(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let row = (0..width).flat_map(|x| if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] });
    let row: Vec<u8> = row.collect();
    writer.write_image_data(&row.repeat(usize::try_from(height).unwrap())).unwrap();
    writer.finish().unwrap();
    file
}

/// Sends this original, and expects to hear whether it was shown.
fn showing(original: Vec<u8>, expect_shown: bool) -> Peerd {
    Peerd::new(1, move |_, mut link: Link| {
        assert!(matches!(link.command(), Command::View { .. }));
        let bytes = u64::try_from(original.len()).unwrap();
        link.say(FromPeerd::Progress(Progress { step: Step::Opening, done: 0, total: bytes }));
        link.say(FromPeerd::Data(original.clone()));
        link.say(FromPeerd::Done(Box::new(Outcome::Viewed {
            path: "7xKqPm2R/sea".parse().unwrap(),
            image_id: ImageId::from([7; 32]),
            bytes,
            views_left: Allowance::Views(1),
        })));
        assert_eq!(link.hear(), expect_shown.then_some(ToPeerd::Shown));
    })
}

fn previewing() -> Peerd {
    Peerd::new(1, |_, mut link: Link| {
        assert!(matches!(link.command(), Command::Preview(_)));
        let preview = Preview { format: Format::Png, width: 64, height: 64, data: flag(64, 64) };
        link.say(FromPeerd::Done(Box::new(Outcome::Preview {
            path: "7xKqPm2R/sea".parse().unwrap(),
            preview,
            signature: None,
            as_of: None,
        })));
    })
}

#[test]
fn a_view_is_drawn_by_the_protocol_that_the_terminal_knows_and_then_told_as_shown() {
    let peerd = showing(flag(1000, 1000), true);
    let mut screen = Screen::new(&peerd, &["view", "bob/sea"]);
    screen.answer(KITTY);
    let (text, code) = screen.end();
    assert_eq!(code, Some(0), "{text}");
    let (picture, rest) = text.rsplit_once("\u{1b}\\").unwrap();
    assert!(rest.starts_with("\nviewed bob/sea (") && rest.ends_with("), 1 view left\n"), "{rest}");
    let start = picture.find("\u{1b}_Ga=T,f=100,q=2,").unwrap();
    let data: String =
        picture[start..].split("\u{1b}\\").map(|chunk| chunk.split_once(';').unwrap().1).collect();
    let file = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data).unwrap();
    let reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
    // 28 of 30 rows of 20 pixels, and the picture is square.
    assert_eq!(reader.info().size(), (560, 560));
    peerd.done();
}

#[test]
fn sixel_and_half_blocks_are_drawn_where_there_is_nothing_better() {
    for (answers, mark) in [(SIXEL, "\u{1b}P0;1;0q\"1;1;560;560"), (PLAIN, "\u{1b}[38;5;196m")] {
        let peerd = showing(flag(1000, 1000), true);
        let mut screen = Screen::new(&peerd, &["view", "bob/sea"]);
        screen.answer(answers);
        let (text, code) = screen.end();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(mark), "{text}");
        peerd.done();
    }
}

#[test]
fn a_terminal_that_does_not_answer_gets_half_blocks_after_a_moment() {
    let peerd = previewing();
    let screen = Screen::new(&peerd, &["preview", "bob/sea"]);
    let (text, code) = screen.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches('\u{2580}').count(), 40 * 20, "{text}");
    assert!(text.contains("preview of bob/sea: png 64x64"), "{text}");
    peerd.done();
}

#[test]
fn nothing_is_drawn_nor_asked_where_that_is_not_wanted() {
    let peerd = previewing();
    let (text, code) = Screen::new(&peerd, &["preview", "bob/sea", "--graphics", "none"]).end();
    assert_eq!((code, text.contains('\u{1b}')), (Some(0), false), "{text}");
    peerd.done();
    let peerd = Peerd::new(0, |_, _| {});
    for args in [["view", "bob/sea", "--graphics=none"], ["view", "bob/sea", "--json"]] {
        let (text, code) = Screen::new(&peerd, &args).end();
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("-o FILE"), "{text}");
    }
    peerd.done();
}

#[test]
fn an_original_that_cannot_be_drawn_leaves_the_view_open_and_says_how_to_see_it() {
    let peerd = showing(b"\x1b[2J not an image".to_vec(), false);
    let mut screen = Screen::new(&peerd, &["view", "bob/sea"]);
    screen.answer(KITTY);
    let (text, code) = screen.end();
    assert_eq!(code, Some(8), "{text}");
    assert!(!text.contains("\u{1b}[2J"), "nothing of the file reaches the terminal");
    assert!(text.contains("the picture cannot be drawn; the view stays open, and saving it costs no other"));
    assert!(text.contains("hint: dosctl view bob/sea -o FILE"), "{text}");
    peerd.done();
}

#[test]
fn without_the_program_that_decodes_pictures_none_is_asked_for() {
    let peerd = Peerd::new(0, |_, _| {});
    let alone = peerd.path("dosctl");
    std::fs::copy(env!("CARGO_BIN_EXE_dosctl"), &alone).unwrap();
    let program = ["env", "PATH=/nonexistent", alone.to_str().unwrap()];
    let mut screen = Screen::of(&program, &peerd, &["view", "bob/sea"]);
    screen.answer(KITTY);
    let (text, code) = screen.end();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot start \"peerd\", which decodes pictures; no view was spent"), "{text}");
    assert!(text.contains("hint: dosctl view bob/sea -o FILE"), "{text}");
    peerd.done();
}

#[test]
fn an_interrupt_while_the_terminal_is_asked_puts_it_back_and_spends_nothing() {
    let peerd = Peerd::new(0, |_, _| {});
    let mut screen = Screen::new(&peerd, &["view", "bob/sea"]);
    screen.until(LAST_QUESTION);
    // As a byte, because the terminal does not make a signal of it at that moment.
    screen.outer.write_all(&[3]).unwrap();
    let (text, code) = screen.end();
    assert_ne!(code, Some(0), "{text}");
    peerd.done();
}

#[test]
fn a_listing_has_its_previews_drawn() {
    let peerd = Peerd::new(2, |number, mut link: Link| {
        if number == 0 {
            assert!(matches!(link.command(), Command::List(_)));
            let peers = vec![bob_with_sea()];
            link.say(FromPeerd::Done(Box::new(Outcome::Page { peers, next: None, as_of: None })));
        } else {
            assert!(matches!(link.command(), Command::Preview(_)));
            let preview = Preview { format: Format::Png, width: 64, height: 64, data: flag(64, 64) };
            let path = "7xKqPm2R/sea".parse().unwrap();
            link.say(FromPeerd::Done(Box::new(Outcome::Preview {
                path,
                preview,
                signature: None,
                as_of: None,
            })));
        }
    });
    let mut screen = Screen::new(&peerd, &["list", "--previews"]);
    screen.answer(PLAIN);
    let (text, code) = screen.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches('\u{2580}').count(), 20 * 10, "{text}");
    assert!(text.contains("bob/sea  4000x3000  5.00 MB  1 view left"), "{text}");
    peerd.done();
}

/// Expects logins with a password, of which the first finds another machine, and answers with what the user decides.
fn elsewhere(logins: usize) -> Peerd {
    Peerd::new(logins, |number, mut link: Link| {
        let Command::Recover { force, .. } = link.command() else { panic!("another command") };
        assert_eq!(force, number > 0);
        if force {
            let id = "7xKqPm2R".parse().unwrap();
            link.say(FromPeerd::Done(Box::new(Outcome::Session {
                id,
                state: SessionState::Online,
                replayed: 0,
            })));
        } else {
            let error = WireError::new(Code::Conflict, "another machine is signed in as alice (7xKqPm2R)");
            link.say(FromPeerd::Failed(error.because(Reason::Elsewhere).hint("with --force")));
        }
    })
}

#[test]
fn a_person_is_asked_before_another_machine_is_taken_over() {
    let server = format!("dos://{}@example.org:5001", dos_protocol::PublicKey::from([9; 32]));
    for (typed, logins, expected) in [("y\n", 2, Some(0)), ("\n", 1, Some(7)), ("no\n", 1, Some(7))] {
        let peerd = elsewhere(logins);
        let file = peerd.path("secret");
        std::fs::write(&file, "correct horse\n").unwrap();
        let file = file.to_str().unwrap();
        let args = ["login", "--server", &server, "--name", "alice", "--password-file", file];
        let mut screen = Screen::new(&peerd, &args);
        screen.until(b"[y/N] ");
        screen.outer.write_all(typed.as_bytes()).unwrap();
        let (text, code) = screen.end();
        assert_eq!(code, expected, "{text}");
        assert!(text.contains("another machine is signed in as alice (7xKqPm2R)"), "{text}");
        assert!(text.contains("`dosctl login --force` there"), "{text}");
        assert_eq!(text.contains("7xKqPm2R is online"), logins == 2, "{text}");
        peerd.done();
    }
}

/// Announces the original, for one of `left` views, and sends it once dosctl says that it is wanted.
fn spending(left: u32, wanted: bool) -> Peerd {
    Peerd::new(1, move |_, mut link: Link| {
        assert!(matches!(link.command(), Command::View { asks: true, .. }));
        let original = flag(1000, 1000);
        let bytes = u64::try_from(original.len()).unwrap();
        let left = Allowance::Views(left);
        link.say(FromPeerd::Ready { bytes, spends: Some(Spends { left }) });
        assert_eq!(link.hear(), wanted.then_some(ToPeerd::Go));
        if wanted {
            link.say(FromPeerd::Data(original));
            link.say(FromPeerd::Done(Box::new(Outcome::Viewed {
                path: "7xKqPm2R/sea".parse().unwrap(),
                image_id: ImageId::from([7; 32]),
                bytes,
                views_left: Allowance::Views(1),
            })));
        }
    })
}

#[test]
fn a_person_is_asked_before_a_view_is_spent_on_half_blocks() {
    for (typed, expected) in [("y\n", Some(0)), ("\n", Some(2))] {
        let peerd = spending(3, expected == Some(0));
        let mut screen = Screen::new(&peerd, &["view", "bob/sea"]);
        screen.answer(PLAIN);
        screen.until(b"Spend one of 3 views on it? [y/N] ");
        screen.outer.write_all(typed.as_bytes()).unwrap();
        let (text, code) = screen.end();
        assert_eq!(code, expected, "{text}");
        assert!(text.contains("`dosctl preview bob/sea`"), "{text}");
        assert_eq!(text.contains('\u{2580}'), expected == Some(0), "{text}");
        peerd.done();
    }
    for args in [["view", "bob/sea", "--yes"], ["view", "bob/sea", "--graphics=blocks"]] {
        let peerd = spending(3, true);
        let mut screen = Screen::new(&peerd, &args);
        screen.answer(PLAIN);
        let (text, code) = screen.end();
        assert_eq!((code, text.contains("[y/N]")), (Some(0), false), "{text}");
        peerd.done();
    }
}

#[test]
fn a_person_is_asked_before_the_last_view_is_spent() {
    for (typed, expected) in [("y\n", Some(0)), ("n\n", Some(2))] {
        let peerd = spending(1, expected == Some(0));
        let mut screen = Screen::new(&peerd, &["view", "bob/sea", "-o", "/dev/null"]);
        screen.until(b"Spend the last view of bob/sea? [y/N] ");
        screen.outer.write_all(typed.as_bytes()).unwrap();
        let (text, code) = screen.end();
        assert_eq!((code, text.contains("no view was spent")), (expected, expected == Some(2)), "{text}");
        peerd.done();
    }
    for (left, args) in
        [(1, ["view", "bob/sea", "--last", "-o/dev/null"]), (2, ["view", "bob/sea", "-o", "/dev/null"])]
    {
        let peerd = spending(left, true);
        let (text, code) = Screen::new(&peerd, &args).end();
        assert_eq!((code, text.contains("[y/N]")), (Some(0), false), "{text}");
        peerd.done();
    }
}
