//! Resident memory per idle, signed-in session.
//!
//! A process that has just started, some sessions to warm it up, a look; thousands more, a while of idleness in which
//! dosd has pinged each of them, another look. The difference is what the sessions cost.

use std::time::Duration;

use tokio::time;

use crate::{
    bare::Buffers,
    lab::{ANYWHERE, Lab, register_all},
    load::{Entry, callers, secrets, stay, storm},
    server::{Memory, Server},
    stats::median,
    table::{Bar, Row, Unit},
};

/// Sessions that are there before the first look.
const WARM: usize = 100;

/// What an idle session may take.
const KILOBYTES_MAX: f64 = 12.0;

/// dosd pings after 8 to 12 s.
const IDLE: Duration = Duration::from_secs(15);

/// Two rows: against the bare server, and against one with small buffers.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let sessions = lab.pick(4_500, 500);
    let (dosd, bare) = lab.pair("memory").await?;
    let keys = secrets(WARM + sessions)?;
    register_all(&dosd, &keys).await?;
    let idle = lab.pick(IDLE, Duration::from_secs(1));
    let (mut ours, mut private, mut raw, mut small) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _round in 0..lab.pick(3, 1) {
        let grown = per_session(bare.start(ANYWHERE).await?, &keys, Entry::Bare, idle).await?;
        raw.push(grown.resident);
        let server = bare.start_with(ANYWHERE, Buffers::Small).await?;
        small.push(per_session(server, &keys, Entry::Bare, idle).await?.resident);
        let grown = per_session(dosd.start(ANYWHERE).await?, &keys, Entry::SignIn, idle).await?;
        ours.push(grown.resident);
        private.push(grown.private);
    }
    let row = Row::new(format!("memory per idle session, {sessions} of them"), Unit::Kilobytes)
        .ours(median(&ours))
        .note(format!("private memory {:.1} KB", median(&private)));
    Ok(vec![
        row.clone().raw(median(&raw), "bare server").bar(Bar::RatioAtMost(1.2)),
        row.raw(median(&small), "bare server with 1 KiB buffers").bar(Bar::Below(KILOBYTES_MAX)),
    ])
}

/// KiB that the server grew by for each session after the first [`WARM`].
async fn per_session(
    server: Server,
    keys: &[dos_protocol::key::SecretKey],
    entry: Entry,
    idle: Duration,
) -> anyhow::Result<Memory> {
    let (warm, more) = keys.split_at(WARM);
    let warm = stay(storm(&callers(warm, server.target)?, &entry).await?.1);
    server.settle().await?;
    let before = server.memory()?;
    let count = more.len() as f64;
    let more = stay(storm(&callers(more, server.target)?, &entry).await?.1);
    server.settle().await?;
    time::sleep(idle).await;
    let after = server.memory()?;
    anyhow::ensure!(warm.len() + more.len() == keys.len(), "a session was lost");
    server.kill().await?;
    Ok(Memory {
        resident: (after.resident - before.resident) / count,
        private: (after.private - before.private) / count,
    })
}
