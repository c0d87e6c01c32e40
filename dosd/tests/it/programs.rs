//! The real server, started, asked and ended as an operator does it.

use dos_testing::{Guarded, wait_until_async};
use std::{path::Path, process::Stdio, time::Duration};

use crate::commands::{dosd, run};

/// A running `dosd serve`, killed if a test fails.
pub(crate) struct Served(pub(crate) Guarded);

impl Served {
    pub(crate) async fn start(data_dir: &Path, args: &[&str]) -> Self {
        let mut command = dosd(data_dir);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn"]).args(args).stderr(Stdio::null());
        let served = Self(Guarded::start(&mut command));
        wait_until_async("the server answers", async || run(data_dir, &["link"]).await.code == 0).await;
        served
    }

    /// Its exit code. It must end within the time that it has for that.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.0.wait_within(Duration::from_secs(5)).code()
    }
}

#[tokio::test]
async fn a_shutdown_ends_the_server_with_success() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path(), &[]).await;
    assert_eq!(run(dir.path(), &["shutdown"]).await.code, 0);
    assert_eq!(served.exit_code(), Some(0));
    assert_eq!(run(dir.path(), &["peers"]).await.code, 3);
}

#[tokio::test]
async fn the_mode_comes_from_the_flag_then_the_environment_then_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("dosd.toml");
    std::fs::write(&config, "registration = 'closed'\nregistrations_per_minute = 5\n").unwrap();
    let config = config.to_str().unwrap();
    let wants_invite = async |args: &[&str]| {
        let mut served = Served::start(dir.path(), args).await;
        let link = run(dir.path(), &["link"]).await.out;
        assert_eq!(run(dir.path(), &["shutdown"]).await.code, 0);
        assert_eq!(served.exit_code(), Some(0));
        link.contains("?invite=")
    };
    assert!(wants_invite(&[]).await, "the default");
    assert!(!wants_invite(&["--config", config]).await);
    assert!(wants_invite(&["--config", config, "--registration", "invite"]).await);
    assert!(!wants_invite(&["--registration", "open"]).await);
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_a_sound_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path(), &[]).await;
    let made = run(dir.path(), &["invite", "create"]).await;
    served.0.kill();
    assert_eq!(run(dir.path(), &["check"]).await.code, 0);
    let mut served = Served::start(dir.path(), &[]).await;
    let listed = run(dir.path(), &["invite", "list"]).await;
    assert!(listed.out.contains(&made.out[..4]), "{listed:?}");
    assert_eq!(run(dir.path(), &["shutdown"]).await.code, 0);
    assert_eq!(served.exit_code(), Some(0));
}
