//! New connections per second: for dosd with the sign-in of a registered peer, for the bare server the handshake alone.

use crate::{
    lab::{ANYWHERE, Lab, register_all},
    load::{Entry, callers, secrets, storm},
    stats::median,
    table::{Bar, Row, Unit},
};

/// One row.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let count = lab.pick(3_000, 300);
    let (dosd, bare) = lab.pair("connects").await?;
    let keys = secrets(count)?;
    register_all(&dosd, &keys).await?;
    let (bare, dosd) = (bare.start(ANYWHERE).await?, dosd.start(ANYWHERE).await?);
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..lab.pick(7, 2) {
        for (server, entry, rates) in [(&bare, Entry::Bare, &mut raw), (&dosd, Entry::SignIn, &mut ours)] {
            let callers = callers(&keys, server.target)?;
            let (time, sessions) = storm(&callers, &entry).await?;
            rates.push(count as f64 / time.as_secs_f64());
            drop(sessions);
            // The ends of these sessions are not part of the next round.
            server.settle().await?;
        }
    }
    let row = Row::new("new connections with sign-in", Unit::PerSecond)
        .ours(median(&ours))
        .raw(median(&raw), "bare handshakes")
        .bar(Bar::RatioAtLeast(0.75));
    Ok(vec![row])
}
