//! What the machine does to a daemon: directories that vanish, terminals that close, sockets of others.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use dos_testing::{Guarded, Signal, wait_until};

use crate::stage::program;

/// A daemon of a user whose home, state and runtime directories are in a temporary directory.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(home.runtime()).unwrap();
        home
    }

    fn runtime(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn socket(&self) -> PathBuf {
        self.runtime().join("dos/default/control.sock")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state/dos/peers/default")
    }

    fn in_home(&self, command: &mut Command) {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path().join("state"));
        command.env("XDG_RUNTIME_DIR", self.runtime()).current_dir(self.dir.path()).stdin(Stdio::null());
    }

    /// Runs the daemon through a shell that does `first`.
    fn start_after(&self, first: &str) -> Guarded {
        let mut command = Command::new("sh");
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        command.arg("-c").arg(format!("{first}; exec \"$0\" --listen 127.0.0.1:0")).arg(program("peerd"));
        self.in_home(&mut command);
        let daemon = Guarded::start(command.stdout(Stdio::null()).stderr(log));
        wait_until("peerd answers", || self.dosctl(&["status"]).status.success());
        daemon
    }

    fn start(&self) -> Guarded {
        self.start_after(":")
    }

    fn dosctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new(program("dosctl"));
        self.in_home(&mut command);
        command.args(args).output().unwrap()
    }
}

/// A line of `/proc/PID/status` or of `/proc/PID/limits`.
fn told(daemon: &Guarded, file: &str, line: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/{file}", daemon.id())).unwrap();
    text.lines().find_map(|found| found.strip_prefix(line)).unwrap().trim().to_owned()
}

#[test]
fn a_runtime_directory_that_vanishes_hides_no_daemon() {
    let home = Home::new();
    let mut daemon = home.start();
    // As at a logout; what stands there now lets nothing be made.
    fs::remove_dir_all(home.runtime()).unwrap();
    fs::write(home.runtime(), "").unwrap();
    wait_until("the daemon is found by its state directory", || home.dosctl(&["status"]).status.success());
    assert!(home.state().join("control.sock").exists());
    // As at the next login.
    fs::remove_file(home.runtime()).unwrap();
    fs::create_dir(home.runtime()).unwrap();
    wait_until("the socket is back", || home.socket().exists());
    assert!(home.dosctl(&["status"]).status.success());
    assert!(home.runtime().join("dos/default/control.open").is_dir(), "a viewer's files have a place again");
    assert!(!home.state().join("control.sock").exists());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!home.socket().exists());
}

#[test]
fn a_daemon_whose_socket_is_nowhere_is_told_by_its_process() {
    let home = Home::new();
    let daemon = home.start();
    daemon.stop();
    fs::remove_dir_all(home.runtime()).unwrap();
    let output = home.dosctl(&["status"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains(&format!("is running (process {})", daemon.id())), "{told}");
    drop(daemon);
    let told = String::from_utf8_lossy(&home.dosctl(&["status"]).stderr).into_owned();
    assert!(told.contains("is not running"), "{told}");
}

#[test]
fn a_daemon_that_ends_leaves_the_socket_of_another() {
    let (first, second) = (Home::new(), Home::new());
    let mut old = first.start();
    old.stop();
    // The second one takes the place that the first one has lost.
    fs::remove_dir_all(first.runtime()).unwrap();
    let mut command = Command::new(program("peerd"));
    second.in_home(&mut command);
    command.arg("--listen").arg("127.0.0.1:0").arg("--socket").arg(first.socket());
    let _new = Guarded::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("the second one answers", || first.dosctl(&["status"]).status.success());
    old.signal(Signal::CONT);
    old.signal(Signal::TERM);
    assert_eq!(old.wait().code(), Some(0));
    let status = first.dosctl(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(Path::new(status["state_dir"].as_str().unwrap()), second.state());
}

#[test]
fn what_is_no_socket_is_not_removed_for_one() {
    let home = Home::new();
    let letter = home.dir.path().join("letter");
    fs::write(&letter, "dear diary").unwrap();
    let mut command = Command::new(program("peerd"));
    home.in_home(&mut command);
    let output = command.arg("--socket").arg(&letter).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not a socket"));
    assert_eq!(fs::read_to_string(&letter).unwrap(), "dear diary");
}

#[test]
fn a_socket_where_others_can_put_theirs_is_neither_made_nor_trusted() {
    let home = Home::new();
    let open = home.dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let socket = open.join("s");
    let mut command = Command::new(program("peerd"));
    home.in_home(&mut command);
    let output = command.arg("--socket").arg(&socket).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod go-w"));
    let _listener = UnixListener::bind(&socket).unwrap();
    let output = home.dosctl(&["--socket", socket.to_str().unwrap(), "status"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("others can write to its directory"), "{told}");
}

#[test]
fn signals_that_are_to_be_ignored_are() {
    let home = Home::new();
    let mut daemon = home.start_after("trap '' HUP INT");
    // SIGHUP and SIGINT are the two lowest bits.
    let mask = |line| u64::from_str_radix(&told(&daemon, "status", line), 16).unwrap() & 0b11;
    assert_eq!((mask("SigIgn:"), mask("SigCgt:")), (0b11, 0));
    daemon.signal(Signal::INT);
    daemon.signal(Signal::HUP);
    assert!(home.dosctl(&["status"]).status.success());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_crash_writes_no_memory_to_the_disk() {
    let home = Home::new();
    let mut daemon = home.start_after("ulimit -c unlimited");
    assert!(told(&daemon, "limits", "Max core file size").starts_with('0'));
    daemon.signal(Signal::ABORT);
    let status = daemon.wait();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
}

#[test]
fn empty_variables_are_not_set() {
    let home = Home::new();
    let mut command = Command::new(program("peerd"));
    home.in_home(&mut command);
    for key in peerd::config::Given::KEYS {
        command.env(format!("PEERD_{}", key.to_uppercase()), "");
    }
    let output = command.env("PEERD_CONFIG", "").arg("--check-config").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _daemon = home.start();
    for json in ["", "1"] {
        let mut command = Command::new(program("dosctl"));
        home.in_home(&mut command);
        for name in ["PROFILE", "SOCKET", "PROGRESS", "VIEWER", "GRAPHICS"] {
            command.env(format!("DOSCTL_{name}"), "");
        }
        let output = command.env("DOSCTL_JSON", json).arg("status").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout.starts_with(b"{"), !json.is_empty());
    }
}
