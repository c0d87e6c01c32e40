//! Whole commands over long and lossy paths, between two network namespaces with an emulator in the middle: `fetch`, direct and by the
//! relay, `fetch` of many small pictures, and the first `view`, against a raw TCP copy and scp on the same path in the same run.
//!
//! The directory and the owners are at one end, the viewers at the other. The emulator is `wan.c` in `../shared/tools` beside the
//! repository (`DOS_WAN` names another place); it wants root, `ip` and a C compiler. Where one of them is missing there are no rows.

mod breaks;
mod path;

use std::{
    fs,
    path::{Path as File, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::ensure;
use dos_testing::within;
use tokio::{runtime::Handle, task::block_in_place};

use self::path::{Emulator, NEAR, Path};
use super::fetch::{RawServer, give, motion_photo, take_back, timed};
use crate::{
    lab::Lab,
    others::Scp,
    peers::{Peer, PeerPrograms},
    server::Server,
    stats::median,
    table::{Bar, Row, Unit},
};

/// What is measured, as an operator would describe it.
const PATHS: [Path; 3] = [
    Path { delay_ms: 25, rate_mbit: 200, loss_percent: 0 },
    Path { delay_ms: 50, rate_mbit: 100, loss_percent: 1 },
    Path { delay_ms: 100, rate_mbit: 1000, loss_percent: 0 },
];

/// Whole commands take at most what raw TCP takes and so many round trips, divided by a share of the rate.
const ROUND_TRIPS_MORE: f64 = 4.0;
const DIRECT_SHARE: f64 = 0.9;
const RELAYED_SHARE: f64 = 0.8;

/// Many small pictures take at most so many times as long as their bytes over raw TCP.
const MANY_TIMES: f64 = 1.3;

/// Round trips of a view without a connection, and of the next picture of the same owner.
const COLD_MAX: f64 = 9.0;
const NEXT_MAX: f64 = 5.0;

/// Of those, what a view without a connection takes beyond raw TCP for the same bytes: to find the owner, to prove both keys, and to count
/// the view.
const BEYOND_TCP_MAX: f64 = 4.0;

/// What a cold view brings.
const VIEWED_BYTES: u64 = 227_000;

/// One path with everybody at its ends.
struct Scene<'a> {
    path: Path,
    emulator: &'a Emulator,
    programs: PeerPrograms,
    raw: PathBuf,
    dir: PathBuf,
    link: String,
    alice: Peer,
    /// Nobody reaches it directly.
    carol: Peer,
    bob: Peer,
    rounds: usize,
    _server: Server,
}

/// Rows for each path.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let emulator = match block_in_place(|| Emulator::build(lab.dir())) {
        Ok(emulator) => emulator,
        Err(why) => {
            dos_testing::skipped("the rows of long paths", &format!("{why:#}"));
            return Ok(Vec::new());
        }
    };
    let raw = lab.programs.get("dos-bench", "bare-copy").await?;
    let programs = PeerPrograms {
        peerd: lab.programs.get("peerd", "peerd").await?,
        dosctl: lab.programs.get("dosctl", "dosctl").await?,
    };
    let mut rows = Vec::new();
    for (number, path) in PATHS.into_iter().enumerate() {
        let (dosd, _) = lab.pair(&format!("wan{number}")).await?;
        let (runtime, dir) = (Handle::current(), lab.dir().join(format!("path{number}")));
        let of_path = block_in_place(|| {
            fs::create_dir(&dir)?;
            let _line = emulator.lay(path)?;
            // What a thread starts is in the thread's namespace.
            let server = within(emulator.near(), || {
                runtime.block_on(dosd.start(std::net::SocketAddr::new(NEAR.parse()?, 0)))
            })?;
            let link = server.target.link();
            let sign_up = |name: &str, options: &[&str]| {
                let listen = format!("{NEAR}:0");
                within(emulator.near(), || {
                    Peer::sign_up_at(&listen, &programs, &dir.join(name), (&link, options))
                })
            };
            let (alice, carol) = (sign_up("alice", &[])?, sign_up("carol", &["--reachable", "false"])?);
            let bob = viewer(&emulator, &programs, (&dir, "bob"), &link)?;
            let (programs, raw, dir) = (programs.clone(), raw.clone(), dir.clone());
            let rounds = lab.pick(3, 1);
            let emulator = &emulator;
            Scene { path, emulator, programs, raw, dir, link, alice, carol, bob, rounds, _server: server }
                .measure(lab.quick)
        })?;
        rows.extend(of_path);
    }
    Ok(rows)
}

/// Somebody at the far end.
fn viewer(
    emulator: &Emulator,
    programs: &PeerPrograms,
    (dir, name): (&File, &str),
    link: &str,
) -> anyhow::Result<Peer> {
    let listen = format!("{}:0", path::FAR);
    within(emulator.far(), || Peer::sign_up_at(&listen, programs, &dir.join(name), (link, &[])))
}

impl Scene<'_> {
    fn measure(&self, quick: bool) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        let sizes: &[u64] = if quick { &[2_000_000] } else { &[10_000_000, 60_000_000] };
        let mut raw_of_all = 0.0;
        for bytes in sizes {
            let (of_size, raw) = self.copies(*bytes)?;
            rows.extend(of_size);
            raw_of_all = raw;
        }
        if !quick {
            rows.push(self.many(raw_of_all)?);
            if self.path == PATHS[0] {
                rows.push(self.breaks()?);
            }
        }
        // A lost packet costs more than a round trip: there is nothing to count.
        if self.path.loss_percent == 0 {
            rows.extend(self.views()?);
        }
        Ok(rows)
    }

    /// One large picture, and what raw TCP takes for it in seconds.
    fn copies(&self, bytes: u64) -> anyhow::Result<(Vec<Row>, f64)> {
        let name = format!("of{bytes}");
        let file = self.dir.join(format!("{name}.jpg"));
        motion_photo(&file, bytes)?;
        for owner in [&self.alice, &self.carol] {
            owner.run(&["add", &file.display().to_string(), "--name", &name])?;
        }
        let server =
            within(self.emulator.near(), || RawServer::start(&self.raw, &file, &format!("{NEAR}:0")))?;
        let scp = within(self.emulator.near(), || Scp::serve(&self.dir, NEAR.parse()?))?;
        let (mut raw, mut by_scp, mut ours) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for _round in 0..self.rounds {
            raw.push(self.raw_copy(&server)?);
            if let Some(scp) = &scp {
                by_scp.push(within(self.emulator.far(), || scp.copy(&file))?.as_secs_f64());
            }
            for ((owner, way), times) in
                [(&self.alice, "direct"), (&self.carol, "relayed")].into_iter().zip(&mut ours)
            {
                give(owner, &self.bob, &name)?;
                let path = format!("{}/{name}", owner.name()?);
                times.push(timed(&mut self.bob.command(&["fetch", &path]))?.as_secs_f64());
                let told = self.bob.run(&["--json", "fetch", &path])?;
                ensure!(!told.contains("\"way\":\"relayed\"") || way == "relayed", "it came {told}");
                take_back(owner, &self.bob, &name)?;
            }
        }
        let (path, raw) = (self.path, median(&raw));
        let row = |way: &str, times: &[f64], share: f64| {
            let bound = (raw + ROUND_TRIPS_MORE * path.round_trip_s()) / share;
            Row::new(format!("{path}: fetch of {} MB, {way}", bytes / 1_000_000), Unit::Seconds)
                .ours(median(times))
                .raw(raw, "raw TCP copy, synced")
                .bar(Bar::Below(bound))
        };
        let [direct, relayed] = &ours;
        let mut rows = vec![row("direct", direct, DIRECT_SHARE), row("relayed", relayed, RELAYED_SHARE)];
        let scp = Row::new(format!("{path}: scp of {} MB", bytes / 1_000_000), Unit::Seconds);
        rows.push(match by_scp.is_empty() {
            true => scp.note("not installed"),
            false => scp.ours(median(&by_scp)).raw(raw, "raw TCP copy, synced"),
        });
        Ok((rows, raw))
    }

    fn raw_copy(&self, server: &RawServer) -> anyhow::Result<f64> {
        let here = self.dir.join("here");
        let time = within(self.emulator.far(), || {
            timed(Command::new(&self.raw).args(["fetch", &server.address]).arg(&here).arg("--sync"))
        })?;
        fs::remove_file(&here)?;
        Ok(time.as_secs_f64())
    }

    /// 200 pictures of 300 kB, which are as many bytes as one of 60 MB.
    fn many(&self, raw: f64) -> anyhow::Result<Row> {
        let folder = self.alice.dir().join("many");
        fs::create_dir(&folder)?;
        for number in 0..200 {
            motion_photo(&folder.join(format!("m{number}.jpg")), 300_000 + number)?;
        }
        self.alice.run(&["add", "-r", "many", "--album", "many"])?;
        let dave = viewer(self.emulator, &self.programs, (&self.dir, "dave"), &self.link)?;
        self.alice.run(&["share", "--album", "many", "--to", "dave", "--unlimited"])?;
        crate::peers::wait_until("all grants are there", || {
            Ok(dave.run(&["--json", "shares", "--received"])?.matches("\"active\"").count() == 200)
        })?;
        let time = timed(&mut dave.command(&["fetch", "--album", "alice/many"]))?;
        Ok(Row::new(format!("{}: fetch of 200 pictures of 300 kB", self.path), Unit::Seconds)
            .ours(time.as_secs_f64())
            .raw(raw, "raw TCP copy of 60 MB, synced")
            .bar(Bar::RatioAtMost(MANY_TIMES)))
    }

    /// A view by somebody who knows the owner, and one more; and a view by somebody who has never heard of them.
    fn views(&self) -> anyhow::Result<Vec<Row>> {
        let (mut first, mut cold, mut next, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let file = self.dir.join("viewed.jpg");
        motion_photo(&file, VIEWED_BYTES)?;
        let server =
            within(self.emulator.near(), || RawServer::start(&self.raw, &file, &format!("{NEAR}:0")))?;
        for round in 0..self.rounds {
            raw.push(self.raw_copy(&server)?);
            let someone = |name: &str| {
                viewer(self.emulator, &self.programs, (&self.dir, &format!("{name}{round}")), &self.link)
            };
            let (stranger, contact) = (someone("stranger")?, someone("contact")?);
            contact.run(&["send", "alice", "may I see it?"])?;
            let names = ["first", "second", "third"].map(|name| format!("{name}{round}"));
            let viewers = [&stranger, &contact, &contact];
            for (name, viewer) in names.iter().zip(viewers) {
                let file = self.dir.join(format!("{name}.jpg"));
                motion_photo(&file, VIEWED_BYTES)?;
                self.alice.run(&["add", &file.display().to_string()])?;
                give(&self.alice, viewer, name)?;
            }
            let times = [&mut first, &mut cold, &mut next];
            for ((name, viewer), times) in names.iter().zip(viewers).zip(times) {
                let path = format!("alice/{name}");
                times.push(timed(&mut viewer.command(&["view", &path, "-o", name]))?);
            }
        }
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        let row = |name: &str, times: &[Duration], most: f64| {
            let (time, trip) = (median(&seconds(times)), self.path.round_trip_s());
            Row::new(format!("{}: {name}", self.path), Unit::Seconds)
                .ours(time)
                .raw(trip, "a round trip")
                .bar(Bar::RatioAtMost(most))
        };
        let what = format!("{}: view of 227 kB, of an owner who is not known, beyond raw TCP", self.path);
        Ok(vec![
            row("view of 227 kB, no connection yet", &cold, COLD_MAX),
            Row::new(what, Unit::Seconds)
                .ours(median(&seconds(&first)) - median(&raw))
                .raw(self.path.round_trip_s(), "a round trip")
                .bar(Bar::RatioAtMost(BEYOND_TCP_MAX)),
            row("view of the next picture", &next, NEXT_MAX),
        ])
    }
}
