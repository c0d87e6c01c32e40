//! `dosctl share` of many images to many peers, the whole command: 1,000 grants, each durable at the directory and in the owner's
//! daemon when it ends. Against as many syncs of the disk in series, of which it needs far fewer.

use std::{fs, time::Instant};

use anyhow::{Context as _, ensure};
use tokio::task::spawn_blocking;

use super::sync::sync_times;
use crate::{
    lab::{ANYWHERE, Lab},
    load::{Entry, callers, secrets, storm},
    peers::{Peer, PeerPrograms},
    photo::Photo,
    stats::median,
    table::{Bar, Row, Unit},
};

/// What a person waits for without wondering, in seconds.
const TIME_MAX: f64 = 2.0;

/// Syncs that are measured.
const SYNCS: usize = 200;

/// One row.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (images, viewers) = (lab.pick(100, 10), lab.pick(10, 3));
    let programs = PeerPrograms {
        peerd: lab.programs.get("peerd", "peerd").await?,
        dosctl: lab.programs.get("dosctl", "dosctl").await?,
    };
    let (dosd, _) = lab.pair("share").await?;
    let server = dosd.start(ANYWHERE).await?;
    let sessions = storm(&callers(&secrets(viewers)?, server.target)?, &Entry::Register(None)).await?.1;
    let to = sessions
        .iter()
        .map(|session| Ok(session.signed_in.as_ref().context("not signed in")?.id.to_string()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (link, dir, rounds) = (server.target.link(), lab.dir().join("sharers"), lab.pick(5, 1));
    let (times, syncs) = spawn_blocking(move || {
        fs::create_dir(&dir)?;
        let alice = Peer::sign_up(&programs, &dir.join("alice"), &link, &[])?;
        let pictures = alice.dir().join("pictures");
        fs::create_dir(&pictures)?;
        for (number, seed) in (0..images).zip(1..) {
            Photo::take(64, 48, seed).write_jpeg(&pictures.join(format!("p{number}.jpg")), false)?;
        }
        alice.run(&["add", "-r", "pictures"])?;
        let times = shares(&alice, &to, (images * to.len(), rounds))?;
        Ok::<_, anyhow::Error>((times, sync_times(&dir.join("sync"), SYNCS)?))
    })
    .await??;
    drop(sessions);
    let count = images * viewers;
    let serial = median(&syncs) * u32::try_from(count).map(f64::from)? / 1e6;
    let row = Row::new(format!("{count} shares, the whole command"), Unit::Seconds)
        .ours(median(&times))
        .raw(serial, "a sync each, in series")
        .bar(Bar::Below(TIME_MAX));
    Ok(vec![row])
}

/// How long it takes each time, in seconds; another number of views each time, so that every grant changes.
fn shares(alice: &Peer, to: &[String], (count, rounds): (usize, usize)) -> anyhow::Result<Vec<f64>> {
    let to = to.join(",");
    let mut times = Vec::new();
    for round in 1..=rounds {
        let begun = Instant::now();
        let told = alice.run(&["--json", "share", "p*", "--to", &to, "--views", &round.to_string()])?;
        times.push(begun.elapsed().as_secs_f64());
        let given = told.matches("\"views_left\"").count();
        ensure!(given == count, "{given} of {count} were shared");
    }
    Ok(times)
}
