//! The real server under a service manager, played by this test: what it is told, and the socket that it passes. How systemd
//! itself sees it is shown by `systemd/tests`.

use dos_testing::{Guarded, Signal, wait_until_async};
use std::{
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener},
    },
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::{
    commands::{dosd, run},
    net::PATIENCE,
};

/// Who starts the server, and hears what it tells.
struct Manager {
    dir: tempfile::TempDir,
    ear: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ear = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        ear.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, ear }
    }

    fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    fn serve(&self, environment: &[(&str, &str)]) -> Guarded {
        let mut command = dosd(self.data_dir());
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"]).stderr(Stdio::null());
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify")).envs(environment.iter().copied());
        Guarded::start(&mut command)
    }

    /// The next message, line by line.
    fn hears(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = self.ear.recv(&mut bytes).unwrap();
        std::str::from_utf8(&bytes[..length]).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    /// Waits for this message; what comes before it is left out.
    fn waits_for(&self, message: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.hears() != [message] {
            assert!(Instant::now() < deadline, "never heard {message}");
        }
    }
}

#[tokio::test]
async fn ready_means_that_it_answers_and_the_end_is_announced() {
    let manager = Manager::new();
    let mut service = manager.serve(&[]);
    assert_eq!(manager.hears(), ["READY=1"]);
    let link = run(manager.data_dir(), &["link"]).await;
    assert_eq!(link.code, 0, "{link:?}");
    assert_eq!(manager.hears(), ["STATUS=0 sessions"]);
    service.signal(Signal::HUP);
    let reloading = manager.hears();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(manager.hears(), ["READY=1"]);
    service.signal(Signal::TERM);
    manager.waits_for("STOPPING=1");
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn signs_of_life_come_if_they_are_wanted_and_stop_with_the_process() {
    let manager = Manager::new();
    let service = manager.serve(&[("WATCHDOG_USEC", "60000")]);
    manager.waits_for("WATCHDOG=1");
    manager.waits_for("WATCHDOG=1");
    service.stop();
    // What was under way still comes.
    manager.ear.set_nonblocking(true).unwrap();
    while manager.ear.recv(&mut [0; 4096]).is_ok() {}
    manager.ear.set_nonblocking(false).unwrap();
    manager.ear.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(manager.ear.recv(&mut [0; 4096]).is_err(), "a sign of life of a stopped process");
}

#[test]
fn another_process_s_watchdog_is_none_of_its_business() {
    let manager = Manager::new();
    let _service = manager.serve(&[("WATCHDOG_USEC", "60000"), ("WATCHDOG_PID", "1")]);
    manager.waits_for("STATUS=0 sessions");
    manager.ear.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(manager.ear.recv(&mut [0; 64]).is_err());
}

/// The server with descriptors passed from 3 on, as systemd does it; the shell puts `passed` there and stays the process.
fn serve_on(data_dir: &Path, passed: impl Into<OwnedFd>, count: &str) -> Command {
    let script =
        "export LISTEN_PID=$$; exec \"$0\" serve --listen 127.0.0.1:1 --log warn 3<&0 4<&0 0</dev/null";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_dosd")]);
    command.env("DOSD_DATA_DIR", data_dir).env("LISTEN_FDS", count).stdin(Stdio::from(passed.into()));
    command
}

fn refused(passed: impl Into<OwnedFd>, count: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = serve_on(dir.path(), passed, count).output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn a_passed_socket_beats_the_address_and_connections_made_before_the_start_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let early = TcpStream::connect(address).unwrap();
    let mut command = serve_on(dir.path(), socket, "1");
    let service = Guarded::start(command.stderr(Stdio::null()));
    wait_until_async("the server answers", async || run(dir.path(), &["link"]).await.code == 0).await;
    let link = run(dir.path(), &["link"]).await.out;
    assert!(link.contains(&address.to_string()), "{link}");
    // No TLS came: the server hangs up, which it can only do if it has accepted.
    early.shutdown(std::net::Shutdown::Write).unwrap();
    early.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = std::io::Read::read(&mut &early, &mut [0; 64]);
    assert!(heard.is_ok(), "{heard:?}");
    drop(service);
}

#[test]
fn what_is_not_one_listening_tcp_socket_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(refused(tcp(), "2").contains("passed 2 sockets"));
    assert!(refused(tcp(), "many").contains("LISTEN_FDS"));
    let unix = UnixListener::bind(dir.path().join("s")).unwrap();
    assert!(refused(unix, "1").contains("not a TCP socket"));
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(refused(file, "1").contains("not a TCP socket"));
    let listening = tcp();
    let connected = TcpStream::connect(listening.local_addr().unwrap()).unwrap();
    assert!(refused(connected, "1").contains("does not listen"));
}
