//! From nothing to online with one command, as a person has it: an environment, no daemon, a link.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use rustix::process::{Pid, Signal, getsid, kill_process};

use crate::stage::{Ran, Stage, program, wait_until};

/// A person at home, where no service manager is. The daemons end with it.
struct Home(PathBuf);

impl Home {
    fn new(stage: &Stage) -> Self {
        let home = Self(stage.path("home"));
        fs::create_dir_all(home.0.join("run")).unwrap();
        fs::set_permissions(home.0.join("run"), Permissions::from_mode(0o700)).unwrap();
        home
    }

    fn command(&self, program: PathBuf, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", &self.0).env("XDG_RUNTIME_DIR", self.0.join("run"));
        command.env("PATH", "/nowhere").env("PEERD_LISTEN", "127.0.0.1:0").current_dir(&self.0);
        command
    }

    fn ctl(&self, profile: &str, args: &[&str]) -> Ran {
        let mut command = self.command(program("dosctl"), args);
        let output = command.env("DOSCTL_PROFILE", profile).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { code: output.status.code(), out: output.stdout, err }
    }

    fn state(&self, profile: &str) -> PathBuf {
        self.0.join(".local/state/dos/peers").join(profile)
    }

    fn daemon(&self, profile: &str) -> Option<Pid> {
        let process = dos_host::lock::daemon_of(&self.state(profile))?;
        Pid::from_raw(i32::try_from(process).ok()?)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for profile in ["alice", "bob"] {
            if let Some(process) = self.daemon(profile) {
                kill_process(process, Signal::KILL).unwrap_or_default();
            }
        }
    }
}

#[test]
fn one_command_starts_a_daemon_signs_up_and_goes_online() {
    let stage = Stage::new();
    let home = Home::new(&stage);
    let ran = home.ctl("alice", &["up", &stage.link(), "--name", "alice"]);
    let log = home.state("alice").join("peerd.log");
    assert!(ran.err.contains(&format!("its log is {}", log.display())), "{}", ran.err);
    let told = ran.ok();
    assert!(told.starts_with("registered as ") && told.contains(" (alice) at 127.0.0.1:"), "{told}");
    let process = home.daemon("alice").unwrap();
    assert_eq!(getsid(Some(process)), Ok(process), "it leads a session of its own");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    // Again, and with the same link: nothing is started and nothing registered.
    home.ctl("alice", &["logout"]).ok();
    let up = home.ctl("alice", &["--json", "up"]).json();
    assert_eq!((up["started"].as_str(), up["state"].as_str()), (Some("running"), Some("online")));
    assert_eq!((&up["registered"], home.daemon("alice")), (&false.into(), Some(process)));
    let link = stage.link();
    home.ctl("alice", &["up", &link, "--name", "alice"]).ok();
    // A profile of which nothing is known, and one whose daemon does not run while another one does.
    let told = home.ctl("bob", &["up"]).fails(2);
    assert!(told.contains("profile \"bob\" has not signed up"), "{told}");
    kill_process(home.daemon("bob").unwrap(), Signal::TERM).unwrap();
    wait_until("it has stopped", || home.daemon("bob").is_none());
    let told = home.ctl("bob", &["status"]).fails(3);
    assert!(told.contains("cause: running are: alice (choose with --profile or DOSCTL_PROFILE)"), "{told}");
    assert!(told.contains("hint: peerd --profile bob"), "{told}");
}

#[test]
fn a_daemon_that_ends_at_once_says_why() {
    let stage = Stage::new();
    let home = Home::new(&stage);
    let mut command = home.command(program("dosctl"), &["up", &stage.link(), "--name", "alice"]);
    let output = command.env("DOSCTL_PROFILE", "alice").env("PEERD_LISTEN", "nonsense").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("error: peerd has ended at once"), "{told}");
    assert!(told.contains("peerd.log"), "{told}");
}

#[test]
fn the_daemon_takes_the_profile_with_which_a_person_works() {
    let stage = Stage::new();
    let home = Home::new(&stage);
    for (own, expected) in [(None, "alice"), (Some("bob"), "bob")] {
        let mut command = home.command(program("peerd"), &[]);
        command.env("DOSCTL_PROFILE", "alice");
        if let Some(own) = own {
            command.env("PEERD_PROFILE", own);
        }
        let _daemon = dos_testing::Guarded::start(&mut command);
        wait_until("it answers", || home.ctl(expected, &["status"]).code == Some(0));
    }
}
