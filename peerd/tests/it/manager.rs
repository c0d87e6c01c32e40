//! What a service manager, played by this test, is told by the real daemon. How systemd itself sees it is shown by
//! `systemd/tests`.

use std::{
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use dos_testing::Signal;

use crate::stage::{PATIENCE, Stage};

/// Hears what the daemons of a stage tell.
struct Ear(UnixDatagram);

impl Ear {
    fn hears(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).unwrap();
        std::str::from_utf8(&bytes[..length]).unwrap().trim_end().to_owned()
    }

    /// Waits for a message that begins so.
    #[track_caller]
    fn waits_for(&self, beginning: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.hears().starts_with(beginning) {
            assert!(Instant::now() < deadline, "never heard {beginning}");
        }
    }
}

#[test]
fn the_daemon_tells_that_it_serves_how_its_session_stands_and_that_it_lives() {
    let stage = Stage::new();
    let path = stage.path("notify");
    let ear = Ear(UnixDatagram::bind(&path).unwrap());
    ear.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut alice = stage.stranger("alice");
    alice.kill();
    alice.environment = vec![("NOTIFY_SOCKET".into(), path.into()), ("WATCHDOG_USEC".into(), "60000".into())];
    alice.start();
    assert_eq!(ear.hears(), "READY=1");
    ear.waits_for("STATUS=unregistered");
    ear.waits_for("WATCHDOG=1");
    alice.ctl(&["register", "--server", &stage.link(), "--name", "alice"]).ok();
    ear.waits_for("STATUS=online as ");
    let peerd = alice.peerd.take().unwrap();
    peerd.send(Signal::HUP);
    ear.waits_for("RELOADING=1\nMONOTONIC_USEC=");
    ear.waits_for("READY=1");
    peerd.stop();
    // What was under way still comes.
    ear.0.set_nonblocking(true).unwrap();
    while ear.0.recv(&mut [0; 4096]).is_ok() {}
    ear.0.set_nonblocking(false).unwrap();
    ear.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(ear.0.recv(&mut [0; 4096]).is_err(), "a sign of life of a stopped process");
    ear.0.set_read_timeout(Some(PATIENCE)).unwrap();
    peerd.send(Signal::CONT);
    peerd.send(Signal::TERM);
    ear.waits_for("STOPPING=1");
    assert_eq!(peerd.signal(Signal::TERM).code(), Some(0));
}
