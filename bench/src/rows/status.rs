//! `dosctl status`, the whole process from its start to its end, against a bare program with one round trip on a Unix
//! socket. peerd runs and is online.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{task::spawn_blocking, time};

use crate::{
    bare,
    lab::{ANYWHERE, Lab},
    stats::{median, micros, percentile},
    table::{Bar, Row, Unit},
};

/// Two rows: p50, which has the bar, and p99.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let minimal = lab.programs.get("dos-bench", "bare-client").await?;
    let dosctl = lab.programs.get("dosctl", "dosctl").await?;
    let peerd = lab.programs.get("peerd", "peerd").await?;
    let (dosd, _) = lab.pair("status").await?;
    let server = dosd.start(ANYWHERE).await?;
    let link = server.target.link();
    let (socket, echo) = (lab.dir().join("p.sock"), lab.dir().join("e.sock"));
    let _echo = bare::start_unix(&echo).await?;
    let _peerd = tokio::process::Command::new(peerd)
        .arg("--state-dir")
        .arg(lab.dir().join("peerd"))
        .arg("--socket")
        .arg(&socket)
        .args(["--log", "error"])
        .kill_on_drop(true)
        .spawn()?;
    until_there(&socket).await?;
    let ask = |verb: &[&str]| {
        let mut command = Command::new(&dosctl);
        command.arg("--socket").arg(&socket).args(verb);
        command
    };
    let mut registering = ask(&["register", "--server", &link]);
    let registered = spawn_blocking(move || registering.stdout(Stdio::null()).status()).await??;
    ensure!(registered.success(), "dosctl register failed");
    let mut raw = Command::new(minimal);
    raw.arg(&echo);
    let (status, rounds) = (ask(&["status"]), lab.pick(500, 50));
    let (ours, raw) = spawn_blocking(move || alternate(status, raw, rounds)).await??;
    let row = |name: &str, share: f64| {
        Row::new(format!("dosctl status, whole process, {name}"), Unit::Millis)
            .ours(percentile(&ours, share) / 1e3)
            .raw(percentile(&raw, share) / 1e3, "bare program")
    };
    ensure!(median(&raw) > 0.0, "nothing was measured");
    Ok(vec![row("p50", 0.5).bar(Bar::RatioAtMost(1.35)), row("p99", 0.99)])
}

/// Microseconds of each run of the two commands.
fn alternate(mut ours: Command, mut raw: Command, rounds: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let run = |command: &mut Command| {
        let start = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        let time = micros(start.elapsed());
        ensure!(status.success(), "{} failed", command.get_program().display());
        Ok(time)
    };
    let mut times = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for _round in 0..rounds {
        times.0.push(run(&mut ours)?);
        times.1.push(run(&mut raw)?);
    }
    Ok(times)
}

/// Waits until a daemon has made its socket.
async fn until_there(socket: &Path) -> anyhow::Result<()> {
    let there = async {
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    time::timeout(Duration::from_secs(10), there).await.context("peerd did not come up")
}
