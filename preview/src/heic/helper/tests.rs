//! Programs in the place of libheif's, which do what it must not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// A shell script as the program.
fn program(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("program");
    fs::write(&path, format!("#!/bin/sh\nexport PATH=/usr/bin:/bin\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn run(script: &str, original: &[u8]) -> Result<Vec<u8>, Failure> {
    let directory = tempfile::tempdir().unwrap();
    let tools = Tools { limiter: found("prlimit").unwrap(), program: program(directory.path(), script) };
    decode(&tools, original, 0)
}

#[test]
fn it_reads_the_picture_and_what_it_answers_comes_back() {
    // Its arguments are a quality, a file and where to put the answer.
    let answer = run("{ cat \"$3\"; echo \" $1 $2\"; } > \"$4\"", &[b'x'; 200_000]).unwrap();
    assert_eq!(answer, [[b'x'; 200_000].as_slice(), b" -q 95\n"].concat());
}

#[test]
fn an_answer_without_a_success_is_none() {
    assert!(matches!(run("echo half > \"$4\"; exit 3", b"x"), Err(Failure::Refused)));
    assert!(matches!(run("echo half > \"$4\"; kill -SEGV $$", b"x"), Err(Failure::Refused)));
    assert!(matches!(run("exit 0", b"x"), Err(Failure::Refused)));
}

#[test]
fn it_writes_to_no_file_and_has_no_more_than_its_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clear");
    let written = run(&format!("cat \"$3\" > {}; echo done > \"$4\"", file.display()), &[b'x'; 10_000]);
    // Whether the shell goes on after that does not matter.
    drop(written);
    assert_eq!(fs::metadata(&file).map(|file| file.len()).unwrap_or(0), 0);
    let limits = run("{ ulimit -v; ulimit -t; ulimit -c; } > \"$4\"", b"x").unwrap();
    assert_eq!(
        String::from_utf8(limits).unwrap(),
        format!("{}\n{SECONDS_MIN}\n0\n", ADDRESS_BYTES_MAX >> 10)
    );
}

#[test]
fn what_does_not_end_is_ended_with_what_it_has_started() {
    let start = Instant::now();
    // It computes: the system ends it.
    assert!(matches!(run("while :; do :; done", b"x"), Err(Failure::Refused | Failure::TooLong)));
    assert!(start.elapsed() < Duration::from_secs(SECONDS_MIN) * PATIENCE + Duration::from_secs(2));
    // An answer that goes on and on.
    assert!(matches!(run("exec cat /dev/zero > \"$4\"", b"x"), Err(Failure::TooLong | Failure::Refused)));
}

#[test]
fn what_it_leaves_behind_is_ended_too_and_does_not_hold_up_the_answer() {
    let directory = tempfile::tempdir().unwrap();
    let number = directory.path().join("number");
    rustix::fs::mknodat(rustix::fs::CWD, &number, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let script = format!("sleep 1000 > \"$4\" & echo $! > {}; echo done > \"$4\"", number.display());
    // Whoever waited for it would get no answer in time.
    let (left, answer) = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&script, b"x"));
        (fs::read_to_string(&number).unwrap(), running.join().unwrap())
    });
    assert_eq!(answer.unwrap(), b"done\n");
    let is_gone = || {
        let state = fs::read_to_string(format!("/proc/{}/stat", left.trim()));
        state.map_or(true, |state| state.contains(") Z"))
    };
    let mut backoff = dos_testing::Backoff::within(Duration::from_secs(10));
    while !is_gone() {
        assert!(backoff.pause(), "process {left} goes on");
    }
}

#[test]
fn nothing_is_left_of_it() {
    // It makes files beside the pipe, as the program does with a file of several pictures.
    let script = ": > \"${4%.jpg}-1.jpg\"; mkdir more; : > more/file; echo \"$4\" > \"$4\"";
    let answer = String::from_utf8(run(script, b"x").unwrap()).unwrap();
    let pipe = Path::new(answer.trim());
    assert!(pipe.ends_with("picture.jpg"), "{answer}");
    assert!(!pipe.parent().unwrap().exists());
}
