//! A directory of three nodes on three PostgreSQL under Patroni: how many writes a second, what a lost node and a lost primary cost,
//! what a hop costs, and that no wake-up is lost. `cargo xtask cluster proofs` starts it.
//!
//! Everything, the load too, shares this machine's cores.

mod hop;
mod node;
mod primary;
mod rates;
mod wakeups;

use std::{env::temp_dir, path::PathBuf};

use anyhow::Context as _;
use dos_protocol::JoinLink;
use dos_testing::cluster::{Cluster, Way};
use tokio::task::block_in_place;

use crate::{lab::Lab, server::Target, table::Row};

/// What can be asked for by name.
const PROOFS: [&str; 6] = ["rates", "hop", "node", "kill", "cut", "wakeups"];

/// Of the command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where Patroni's programs are, for a cluster
    #[arg(long, value_name = "DIR")]
    patroni: Option<PathBuf>,
    /// What to do with a cluster; everything, if not said
    #[arg(long = "proof", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(PROOFS))]
    proofs: Vec<String>,
    /// Sign-ins that run against a change for the peer that signs in
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    sign_ins: u32,
}

/// The rows of the proofs that were asked for; none where Patroni is not.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let options = &lab.cluster;
    let Some(patroni) = options.patroni.clone() else {
        dos_testing::skipped("the rows of a cluster", "cargo xtask cluster proofs runs them");
        return Ok(Vec::new());
    };
    let dosd = lab.programs.get("dosd", "dosd").await?;
    let mut cluster = block_in_place(|| Cluster::under_patroni(&dosd, patroni, &temp_dir(), &|| false))?;
    let mut rows = Vec::new();
    for name in PROOFS {
        if !options.proofs.is_empty() && !options.proofs.iter().any(|wanted| wanted == name) {
            continue;
        }
        let measured = match name {
            "rates" => rates::measure(lab, &cluster).await,
            "hop" => hop::measure(lab, &cluster).await,
            "node" => node::measure(lab, &mut cluster).await,
            "kill" => primary::measure(&mut cluster, Way::Kill).await,
            "cut" => primary::measure(&mut cluster, Way::Cut).await,
            _ => wakeups::measure(&cluster, options.sign_ins).await,
        };
        rows.extend(measured.with_context(|| format!("the proof {name} fails"))?);
        block_in_place(|| cluster.whole())?;
    }
    let checked = cluster.operate(0, &["check"])?;
    anyhow::ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    Ok(rows)
}

/// Where each node is.
fn targets(cluster: &Cluster) -> anyhow::Result<Vec<Target>> {
    let link: JoinLink = cluster.link()?.parse()?;
    let target = |at| Ok(Target { address: cluster.node_address(at).parse()?, key: link.key });
    (0..cluster.nodes()).map(target).collect()
}
