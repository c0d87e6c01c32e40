//! Two peers behind routers that nothing gets through, and long lines from both to the directory: when the first byte of a relayed fetch is there.
//!
//! The lines are those of the emulator that the benchmarks use: `DOS_WAN` names its source. Needs `cc` besides.

use std::{
    env,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dos_testing::{has_program, skipped};

use super::{
    ip,
    nat::{Networks, Router},
    roaming::figure,
};
use crate::{
    pictures,
    reach::give,
    stage::{Stage, temporary, wait_until},
};

/// Of each of the two lines, one way; the sum is that between the peers.
const LINES_MS: [[u32; 2]; 3] = [[25, 0], [12, 13], [25, 25]];

/// Where the relay waits for the end of all other ways it is three seconds later.
const BEFORE_OTHER_WAYS_END: Duration = Duration::from_secs(2);

/// A line while it is held.
struct Line(Child);

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Builds the emulator there.
fn build(program: &Path) -> Result<(), String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tools/wan.c");
    let source = env::var_os("DOS_WAN").map_or(beside, Into::into);
    if !source.is_file() || !has_program("cc") {
        return Err(format!("there is no cc, or no emulator {}", source.display()));
    }
    let built = Command::new("cc").args(["-O2", "-pthread", "-o"]).args([program, &source]).output();
    let built = built.map_err(|error| error.to_string())?;
    if built.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&built.stderr).into_owned()) }
}

/// Puts a long line in the place of the one from the directory to a router.
fn lengthen(
    program: &Path,
    networks: &Networks,
    router: usize,
    (line, net): (&str, u8),
    delay_ms: u32,
) -> Line {
    let (directory, router) = (networks.name(Networks::DIRECTORY), networks.name(router));
    ip(&["-n", router, "link", "del", &format!("{line}1")]).unwrap();
    let numbers = [delay_ms.to_string(), "1000".into(), "0".into(), "50".into()];
    let mut emulator = Command::new(program);
    emulator.args([directory, router]).args(numbers).stdin(Stdio::null()).stdout(Stdio::null());
    let emulator = Line(emulator.spawn().unwrap());
    wait_until("the line is there", || ip(&["-n", router, "route", "get", "10.77.0.1"]).is_ok());
    for (space, end) in [(directory, "0"), (router, "1")] {
        let name = format!("{line}{end}");
        let address = format!("11.0.{net}.{}/24", if end == "0" { 1 } else { 2 });
        ip(&["-n", space, "link", "set", "wan0", "down"]).unwrap();
        ip(&["-n", space, "addr", "flush", "dev", "wan0"]).unwrap();
        ip(&["-n", space, "link", "set", "wan0", "name", &name]).unwrap();
        ip(&["-n", space, "addr", "add", &address, "dev", &name]).unwrap();
        ip(&["-n", space, "link", "set", &name, "up"]).unwrap();
    }
    ip(&["-n", router, "route", "add", "default", "via", &format!("11.0.{net}.1")]).unwrap();
    emulator
}

#[test]
fn the_first_byte_of_a_relayed_fetch_does_not_wait_for_the_end_of_other_ways() {
    let test = "the_first_byte_of_a_relayed_fetch_does_not_wait_for_the_end_of_other_ways";
    let dir = temporary();
    let program = dir.path().join("wan");
    if let Err(why) = build(&program) {
        return skipped(test, &why);
    }
    for [of_bob, of_alice] in LINES_MS {
        let networks = match Networks::lay(Router::Symmetric, Router::Symmetric) {
            Ok(networks) => networks,
            Err(why) => return skipped(test, &why),
        };
        let _lines = [
            lengthen(&program, &networks, Networks::BOB - 1, ("wb", 1), of_bob),
            lengthen(&program, &networks, Networks::ALICE - 1, ("wa", 2), of_alice),
        ];
        let stage = Stage::at("203.0.113.1", Some(networks.name(Networks::DIRECTORY)), &[]);
        let arguments = ["--auto-fetch", "false", "--log", "peerd=debug"];
        let alice = stage.peer_in("alice", Some(networks.name(Networks::ALICE)), &arguments);
        let mut bob = stage.peer_in("bob", Some(networks.name(Networks::BOB)), &arguments);
        let (mut first, mut again, mut here) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..3 {
            if round > 0 {
                // What it knows of ways is forgotten, and connections are closed.
                bob.restart();
                bob.online();
            }
            for (times, name) in [(&mut first, format!("first{round}")), (&mut again, format!("next{round}"))]
            {
                let file = alice.dir.join(&name);
                let seed = u8::try_from(2 * round).unwrap() + u8::from(name.starts_with("next"));
                pictures::write_small(&file, seed);
                give(&alice, &bob, &name, &file);
                let begun = Instant::now();
                let fetched = bob.json(&["fetch", &format!("alice/{name}")]);
                times.push(begun.elapsed());
                assert_eq!(fetched["way"], "relayed", "{fetched}");
                let begun = Instant::now();
                bob.json(&["fetch", &format!("alice/{name}")]);
                here.push(begun.elapsed());
            }
        }
        let trip = 2 * (of_bob + of_alice);
        figure(
            &format!("{of_bob} ms and {of_alice} ms one way, {trip} ms there and back: relayed, first byte"),
            &first,
        );
        figure("the next one of the same owner", &again);
        figure("the command alone, for what is here", &here);
        assert!(first.iter().all(|time| *time < BEFORE_OTHER_WAYS_END), "{first:?}\n{}", bob.log());
    }
}
