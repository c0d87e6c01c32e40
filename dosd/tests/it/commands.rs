//! The operator's commands as a shell sees them: the real program, its exit code and what it prints.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its standard output, which must be one document of the first schema.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        self.document()
    }

    /// The same of a command that may have failed.
    pub(crate) fn document(&self) -> Value {
        let document: Value = serde_json::from_str(&self.out).unwrap();
        assert_eq!(document["schema"], 1, "{self:?}");
        document
    }

    /// The exit code and the error's code, from standard error.
    pub(crate) fn failure(&self) -> (i32, String) {
        let document: Value = serde_json::from_str(&self.err).unwrap();
        assert!(document["error"]["message"].is_string(), "{self:?}");
        (self.code, document["error"]["code"].as_str().unwrap().into())
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The real program on this data directory, with nothing else in its environment.
pub(crate) fn dosd(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dosd"));
    command.env_clear().env("DOSD_DATA_DIR", data_dir).stdin(Stdio::null());
    command
}

/// Runs a command beside whatever else this runtime does.
pub(crate) async fn run<S: AsRef<OsStr>>(data_dir: &Path, args: &[S]) -> Ran {
    let mut command = dosd(data_dir);
    command.args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

#[tokio::test]
async fn without_a_server_every_command_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["invite", "create", "--json"][..],
        &["invite", "list", "--json"],
        &["invite", "revoke", "abcd", "--json"],
        &["peers", "--json"],
        &["ping", "--all", "--json"],
        &["kick", "--all", "--json"],
        &["announce", "hello", "--json"],
        &["shutdown", "--json"],
        &["backup", "copy", "--json"],
        &["stats", "--json"],
        &["password", "--clear", "alice", "--json"],
    ] {
        let ran = run(dir.path(), args).await;
        assert_eq!((ran.failure(), &*ran.out), ((3, "no_daemon".into()), ""), "{args:?}");
    }
    let plain = run(dir.path(), &["link"]).await;
    assert_eq!((plain.code, &*plain.out), (3, ""));
    let told: Vec<_> = plain.err.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(told, ["error", "cause", "hint"]);
    let check = run(dir.path(), &["check", "--json"]).await;
    assert_eq!(check.failure(), (5, "not_found".into()), "there is nothing to verify");
}

#[tokio::test]
async fn wrong_arguments_are_told_in_both_forms() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["ping", "--json"][..],
        &["kick", "alice", "--all", "--json"],
        &["ping", "--all", "--count", "0", "--json"],
        &["invite", "create", "--uses", "0", "--json"],
        &["invite", "create", "--expires", "soon", "--json"],
        &["shutdown", "--in", "0s", "--json"],
        &["serve", "--registration", "maybe", "--json"],
        &["dance", "--json"],
        &["--json"],
    ] {
        assert_eq!(run(dir.path(), args).await.failure(), (2, "usage".into()), "{args:?}");
    }
    let plain = run(dir.path(), &["ping"]).await;
    assert!(
        plain.code == 2 && plain.err.starts_with("error: ") && plain.err.contains("\nhint: "),
        "{plain:?}"
    );
    let help = run(dir.path(), &["backup", "--help"]).await;
    assert!(help.code == 0 && help.out.contains("server.key"), "{help:?}");
}
