//! What the disk takes to make 8 KiB durable: the floor under every commit, and below it nothing here can be.

use std::{fs::File, io::Write as _, path::Path, time::Instant};

use tokio::task::spawn_blocking;

use crate::{
    lab::Lab,
    stats::{median, micros, percentile},
    table::{Row, Unit},
};

/// Two rows: p50 and p99.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (path, count) = (lab.dir().join("sync"), lab.pick(500, 100));
    let times = spawn_blocking(move || sync_times(&path, count)).await??;
    let row = |name: &str| Row::new(format!("write of 8 KiB + fdatasync, {name}"), Unit::Micros);
    Ok(vec![row("p50").ours(median(&times)), row("p99").ours(percentile(&times, 0.99))])
}

/// Microseconds of each write to a growing file, synced.
pub(super) fn sync_times(path: &Path, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut file = File::create(path)?;
    let block = [7; 8 << 10];
    (0..count)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(micros(start.elapsed()))
        })
        .collect()
}
