//! The tour of the README, run as it stands there: its commands, with the links that they leave out filled in, and what they print.

use std::{
    collections::HashMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dos_testing::Guarded;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    pictures,
    stage::{program, temporary, wait_until},
};

const README: &str = include_str!("../../../README.md");

/// A command of the tour and the lines that it prints there.
struct Step {
    who: String,
    command: String,
    printed: Vec<String>,
}

/// The steps in the blocks of the section.
fn tour() -> Vec<Step> {
    let section = README.split("## Five minutes").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for block in section.split("```").skip(1).step_by(2) {
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once("$ ") {
                Some((who @ ("operator" | "alice" | "bob"), command)) => {
                    let (who, command) = (who.to_owned(), command.to_owned());
                    steps.push(Step { who, command, printed: Vec::new() });
                }
                _ => steps.last_mut().unwrap().printed.push(line.to_owned()),
            }
        }
    }
    steps
}

/// The machine of everybody. The daemons end with it.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(temporary());
        for name in ["run", "alice", "bob", "operator"] {
            fs::create_dir(machine.0.path().join(name)).unwrap();
        }
        fs::set_permissions(machine.0.path().join("run"), Permissions::from_mode(0o700)).unwrap();
        pictures::write(&machine.0.path().join("alice/sea.jpg"), 1);
        machine
    }

    /// A shell of this person that runs `command`.
    fn shell(&self, who: &str, command: &str) -> Command {
        let home = self.0.path();
        let programs = program("dosctl");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).env_clear().current_dir(home.join(who));
        shell
            .env("PATH", programs.parent().unwrap())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"));
        shell.env("DOSCTL_PROFILE", who).env("TZ", "UTC").env("PEERD_LISTEN", "127.0.0.1:0");
        shell.env("DOSD_LISTEN", "127.0.0.1:0").env("DOSD_DATA_DIR", home.join("dosd"));
        shell
    }

    /// What it prints, both streams together.
    fn run(&self, who: &str, command: &str) -> String {
        let output = self.shell(who, command).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
    }

    fn state(&self, profile: &str) -> PathBuf {
        self.0.path().join(".local/state/dos/peers").join(profile)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let daemon = |state: &Path| dos_host::lock::daemon_of(state).and_then(|id| i32::try_from(id).ok());
        for profile in ["alice", "bob"] {
            if let Some(process) = daemon(&self.state(profile)).and_then(Pid::from_raw) {
                kill_process(process, Signal::KILL).unwrap_or_default();
            }
        }
    }
}

/// Whether a word is the one of the README, or differs as it does from machine to machine: IDs, keys, links, sizes, times.
fn is_alike(expected: &str, found: &str) -> bool {
    let bare = |word: &'_ str| word.trim_matches(|letter: char| "(),:;*".contains(letter)).to_owned();
    let word = bare(expected);
    let is_count = word.len() <= 2 && word.bytes().all(|digit| digit.is_ascii_digit());
    let is_id = word.len() == 8
        && word.bytes().all(|letter| letter.is_ascii_alphanumeric())
        && word.bytes().any(|letter| letter.is_ascii_uppercase());
    let is_unit = |word: &str| ["B", "kB", "MB"].contains(&word);
    expected == found
        || (!word.is_empty() && !is_count && (is_id || word.bytes().any(|letter| letter.is_ascii_digit())))
        || (is_unit(&word) && is_unit(&bare(found)))
}

fn is_line(expected: &str, found: &str) -> bool {
    // The tour takes its time here, and none there.
    let found: Vec<&str> = found.split_whitespace().collect();
    let found = match found.iter().position(|word| *word == "ago") {
        Some(ago) if ago >= 2 => [&found[..ago - 2], &["just", "now"], &found[ago + 1..]].concat(),
        _ => found,
    };
    let expected: Vec<&str> = expected.split_whitespace().collect();
    expected.len() == found.len() && expected.iter().zip(&found).all(|(one, other)| is_alike(one, other))
}

/// A command with the links that the README cuts short in full.
fn filled_in(command: &str, links: &HashMap<&str, String>) -> String {
    links.iter().fold(command.to_owned(), |command, (scheme, link)| {
        match command.split_once(&format!("'{scheme}://")) {
            Some((before, rest)) => {
                let (_, after) = rest.split_once('\'').unwrap();
                format!("{before}'{link}'{after}")
            }
            None => command,
        }
    })
}

#[test]
fn the_tour_runs_as_it_stands() {
    let machine = Machine::new();
    let mut directory = None;
    let steps = tour();
    assert!(steps.len() > 15, "{} steps", steps.len());
    for Step { who, command, printed } in steps {
        if command.starts_with("dosd serve") {
            // At a terminal it prints what it prints in the README.
            let mut serving = machine.shell(&who, &format!("exec {command}"));
            directory = Some(Guarded::start(serving.stdout(Stdio::null()).stderr(Stdio::null())));
            wait_until("the directory answers", || {
                machine.run("operator", "dosd link").starts_with("dos://")
            });
            continue;
        }
        let mut links = HashMap::from([("dos", machine.run("operator", "dosd link").trim().to_owned())]);
        if command.contains("dos-peer://") {
            let card = machine.run("bob", "dosctl card");
            links.insert("dos-peer", card.split_whitespace().nth(1).unwrap().to_owned());
        }
        let ran = filled_in(&command, &links);
        // What others do reaches a peer a moment later.
        let mut last = String::new();
        let is_shown = |all: &str| {
            let mut found = all.lines();
            printed.iter().all(|expected| found.any(|line| is_line(expected, line)))
        };
        let changes = !["dosctl requests", "dosctl shares", "dosctl messages"].contains(&command.as_str());
        if changes {
            last = machine.run(&who, &ran);
            assert!(is_shown(&last), "{who}$ {command}\n{last}\nexpected:\n{}", printed.join("\n"));
        } else {
            wait_until(&format!("{who}$ {command}: {}", printed.join("\n")), || {
                last = machine.run(&who, &ran);
                is_shown(&last)
            });
        }
    }
    assert!(directory.is_some());
}
