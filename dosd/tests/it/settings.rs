//! The real server's settings: checked without a start, read again on SIGHUP, and the form of its log.

use dos_testing::{Guarded, Signal, wait_until_async};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::commands::{Ran, dosd, run};

/// A server with a configuration file, whose log is kept; killed at the test's end.
struct Configured {
    dir: tempfile::TempDir,
    child: Option<Guarded>,
}

impl Configured {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dosd.toml"), config).unwrap();
        Self { dir, child: None }
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = dosd(&self.data_dir());
        command.arg("serve").arg("--config").arg(self.dir.path().join("dosd.toml")).args(args);
        command
    }

    fn check(&self, args: &[&str]) -> Ran {
        self.command(args).arg("--check-config").output().unwrap().into()
    }

    async fn start(&mut self, args: &[&str]) {
        let log = File::create(self.dir.path().join("log")).unwrap();
        self.child = Some(Guarded::start(self.command(args).stderr(log)));
        let answers = async || run(&self.data_dir(), &["link"]).await.code == 0;
        wait_until_async("the server answers", answers).await;
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Writes the file, sends SIGHUP, and waits until the log has this once more.
    async fn reload(&self, config: &str, until: &str) {
        fs::write(self.dir.path().join("dosd.toml"), config).unwrap();
        let before = self.log().matches(until).count();
        self.child.as_ref().unwrap().signal(Signal::HUP);
        wait_until_async(until, async || self.log().matches(until).count() > before).await;
    }

    async fn wants_invite(&self) -> bool {
        run(&self.data_dir(), &["link"]).await.out.contains("?invite=")
    }
}

const READ_AGAIN: &str = "has been read again";
const REFUSED: &str = "the configuration is refused";

#[test]
fn a_configuration_is_checked_without_starting_or_making_anything() {
    let good = Configured::new("listen = '127.0.0.1:0'\nidle_timeout = '2h'\nlog = 'info,dosd=debug'");
    let checked = good.check(&[]);
    assert_eq!((checked.code, &*checked.out), (0, "the configuration is good\n"), "{checked:?}");
    assert!(!good.data_dir().exists(), "checking has made the data directory");
    for (config, args, cause) in [
        ("lissen = 'x'", &[][..], "unknown key \"lissen\", do you mean \"listen\"?"),
        ("idle_timeout = 'soon'", &[], "line 1"),
        ("idle_timeout = '1ms'", &[], "--idle-timeout needs"),
        ("log = 'dosd=loud'", &[], "dosd=loud"),
        ("", &["--advertise", "nonsense"], "--advertise needs"),
    ] {
        let bad = Configured::new(config);
        let checked = bad.check(args);
        assert_eq!((checked.code, &*checked.out), (2, ""), "{config}: {checked:?}");
        assert!(checked.err.contains(cause), "{config}: {checked:?}");
        assert!(!bad.data_dir().exists());
    }
    fs::remove_file(good.dir.path().join("dosd.toml")).unwrap();
    assert_eq!(good.check(&[]).code, 2);
}

#[tokio::test]
async fn a_good_file_is_put_in_force_and_a_bad_one_changes_nothing() {
    let mut server = Configured::new("registration = 'invite'\nlisten = '127.0.0.1:0'");
    server.start(&[]).await;
    assert!(server.wants_invite().await);
    server.reload("registration = 'open'\nlisten = '127.0.0.1:0'\nlog = 'debug'", READ_AGAIN).await;
    assert!(!server.wants_invite().await);
    server.reload("registration = 'invite'\nregistrations_per_minute = 0", REFUSED).await;
    assert!(!server.wants_invite().await, "the old one stays in force");
    server.reload("registrtion = 'invite'", REFUSED).await;
    assert!(server.log().contains("registrtion"), "{}", server.log());
    assert!(!server.log().contains("need a restart"));
    server
        .reload("registration = 'closed'\nlisten = '127.0.0.1:1'\nmetrics = '127.0.0.1:0'", READ_AGAIN)
        .await;
    assert!(server.log().contains("listen, metrics"), "{}", server.log());
    assert!(!server.wants_invite().await);
}

#[tokio::test]
async fn a_flag_beats_the_file_at_a_reload_too() {
    let mut server = Configured::new("registration = 'open'\nlisten = '127.0.0.1:0'");
    server.start(&["--registration", "invite"]).await;
    server.reload("registration = 'closed'\nlisten = '127.0.0.1:0'", READ_AGAIN).await;
    assert!(server.wants_invite().await);
}

#[tokio::test]
async fn for_programs_every_line_of_the_log_is_an_object() {
    let mut server = Configured::new("listen = '127.0.0.1:0'\nlog_format = 'json'\nlog = 'trace'");
    server.start(&[]).await;
    server.reload("listen = 1", REFUSED).await;
    let log = server.log();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let open = events.iter().find(|event| event["message"] == "the directory is open").unwrap();
    assert_eq!((open["level"].as_str(), open["target"].as_str()), (Some("INFO"), Some("dosd")));
    assert!(open["timestamp"].is_string() && open["listen"].is_string(), "{open}");
    let refused = events.iter().find(|event| event["level"] == "ERROR").unwrap();
    assert!(refused["error"].as_str().unwrap().contains("line 1"), "the cause is not told: {refused}");
    assert!(Path::new(open["data_dir"].as_str().unwrap()).is_absolute());
}
