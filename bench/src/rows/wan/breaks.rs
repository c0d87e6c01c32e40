//! A fetch whose connection is reset again and again: what that costs beyond a fetch that is left alone, in bytes that came to the viewer's
//! host. It must be no more than what was in flight.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};
use dos_testing::within;

use super::{Scene, give, motion_photo, path::QUEUE_MS, take_back};
use crate::{
    peers::wait_until,
    table::{Bar, Row, Unit},
};

const BREAKS: u32 = 20;

/// The copy, and how much of it comes between two breaks.
const BYTES: u64 = 60_000_000;
const BETWEEN: u64 = 2_000_000;

impl Scene<'_> {
    /// KB that came in vain for each break, beside what the path and its queue hold.
    pub(super) fn breaks(&self) -> anyhow::Result<Row> {
        let file = self.dir.join("broken.jpg");
        motion_photo(&file, BYTES)?;
        self.alice.run(&["add", &file.display().to_string()])?;
        let whole = self.received_for_a_fetch(0)?;
        let broken = self.received_for_a_fetch(BREAKS)?;
        let each = broken.saturating_sub(whole) as f64 / 1e3 / f64::from(BREAKS);
        let seconds = self.path.round_trip_s() + f64::from(QUEUE_MS) / 1e3;
        let holds = f64::from(self.path.rate_mbit) * 1e3 / 8.0 * seconds;
        let what = format!("{}: fetch of 60 MB with {BREAKS} breaks, in vain for each", self.path);
        Ok(Row::new(what, Unit::Kilobytes)
            .ours(each)
            .raw(holds, "what the path and its queue hold")
            .bar(Bar::RatioAtMost(1.0)))
    }

    /// Bytes that come to the viewer's host while it fetches, and the connection is reset so many times.
    fn received_for_a_fetch(&self, breaks: u32) -> anyhow::Result<u64> {
        give(&self.alice, &self.bob, "broken")?;
        let port = self.port_of_alice()?;
        let before = self.received()?;
        let mut fetch = self.bob.command(&["fetch", "alice/broken"]);
        let mut fetch = fetch.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        for _break in 0..breaks {
            let next = self.received()? + BETWEEN;
            wait_until("more has come", || {
                ensure!(fetch.try_wait()?.is_none(), "it has ended before the breaks were over");
                Ok(self.received()? >= next)
            })?;
            self.reset(port)?;
        }
        ensure!(fetch.wait()?.success(), "the fetch has failed");
        let received = self.received()? - before;
        take_back(&self.alice, &self.bob, "broken")?;
        Ok(received)
    }

    fn port_of_alice(&self) -> anyhow::Result<u16> {
        let status: serde_json::Value = serde_json::from_str(&self.alice.run(&["--json", "status"])?)?;
        let listen = status.get("listen").and_then(|listen| listen.as_str()).context("no address")?;
        Ok(listen.rsplit(':').next().context("no port")?.parse()?)
    }

    /// Bytes that have come to the far end, by all links.
    fn received(&self) -> anyhow::Result<u64> {
        let links = within(self.emulator.far(), || fs::read_to_string("/proc/thread-self/net/dev"))?;
        let counted = links.lines().filter_map(|line| line.split_once(':'));
        let others = counted.filter(|(link, _)| link.trim() != "lo");
        others
            .map(|(_, counts)| Ok(counts.split_whitespace().next().context("no count")?.parse::<u64>()?))
            .sum()
    }

    /// Ends the connections to this port, as if the other side had reset them.
    fn reset(&self, port: u16) -> anyhow::Result<()> {
        let port = format!(":{port}");
        let mut command = Command::new("ss");
        command.args(["-K", "-t", "dst", super::NEAR, "and", "dport", "=", &port]);
        let done =
            within(self.emulator.far(), || command.stdout(Stdio::null()).stderr(Stdio::null()).status())?;
        ensure!(done.success(), "ss -K fails");
        Ok(())
    }
}
