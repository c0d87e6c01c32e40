//! What the machine does to a directory server: files that vanish, directories of others, terminals that close.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    process::{Command, Stdio},
};

use dos_testing::{Guarded, Signal, wait_until};
use dosd::config::FileConfig;

use crate::commands::{Ran, dosd};

fn serve_after(dir: &std::path::Path, first: &str) -> Guarded {
    let program = dosd(dir);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{first}; exec \"$0\" serve --listen 127.0.0.1:0"));
    command.arg(program.get_program()).env_clear().env("DOSD_DATA_DIR", dir).current_dir(dir);
    let server = Guarded::start(command.stdin(Stdio::null()).stderr(Stdio::null()));
    wait_until("the server answers", || dosd(dir).arg("link").output().unwrap().status.success());
    server
}

#[test]
fn an_operators_socket_that_vanishes_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = serve_after(dir.path(), ":");
    server.stop();
    fs::remove_file(dir.path().join("admin.sock")).unwrap();
    let told: Ran = dosd(dir.path()).args(["peers", "--json"]).output().unwrap().into();
    assert_eq!(told.failure(), (3, "no_daemon".into()));
    assert!(told.err.contains(&format!("(process {})", server.id())), "{told:?}");
    server.signal(Signal::CONT);
    wait_until("the server answers again", || {
        dosd(dir.path()).arg("link").output().unwrap().status.success()
    });
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!dir.path().join("admin.sock").exists());
}

#[test]
fn a_data_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o775)).unwrap();
    let output = dosd(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod go-w"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn signals_that_are_to_be_ignored_are_and_a_crash_writes_no_memory_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = serve_after(dir.path(), "trap '' HUP INT; ulimit -c unlimited");
    server.signal(Signal::INT);
    server.signal(Signal::HUP);
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    assert_eq!(u64::from_str_radix(caught.trim(), 16).unwrap() & 0b11, 0);
    assert!(dosd(dir.path()).arg("link").output().unwrap().status.success());
    server.signal(Signal::ABORT);
    let status = server.wait();
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
}

#[test]
fn empty_variables_are_not_set() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = dosd(dir.path());
    for key in FileConfig::KEYS {
        command.env(format!("DOSD_{}", key.to_uppercase()), "");
    }
    command.env("HOME", dir.path()).env("DOSD_CONFIG", "").env("DOSD_JSON", "");
    let checked: Ran = command.args(["serve", "--check-config"]).output().unwrap().into();
    assert_eq!((checked.code, checked.out.as_str()), (0, "the configuration is good\n"), "{checked:?}");
}
