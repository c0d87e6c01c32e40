//! A directory of several nodes on this machine: three PostgreSQL under Patroni over etcd, three dosd, to look at and to play with; and
//! campaigns on it.
//!
//! Everything that was started ends with this program, by Ctrl-C too.

use std::{env::temp_dir, path::Path};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use dos_testing::{
    Backoff,
    cluster::{Cluster, install_packages, missing_packages, patroni},
};

use crate::{cargo, demo::patience::Patience, say};

/// `cluster`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Installs Debian's packages that are missing; root does so unasked
    #[arg(long, global = true)]
    install: bool,
    /// Uses a debug build, which is there sooner
    #[arg(long, global = true)]
    debug: bool,
    #[command(subcommand)]
    campaign: Option<Campaign>,
}

#[derive(Debug, Subcommand)]
enum Campaign {
    /// Peers at all nodes do everything while nodes, the primary and etcd are killed, stopped and cut off; checks their history
    History(History),
    /// Measures what a lost node and a lost primary cost, what a hop costs, and that no wake-up is lost
    Proofs {
        /// Which of them; all, if none is named
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Sign-ins that run against a message
        #[arg(long, value_name = "N", default_value_t = 5_000)]
        sign_ins: u32,
    },
}

/// How much of a history there is to be.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct History {
    /// Operations of all clients together, at least
    #[arg(long, value_name = "N", default_value_t = 4000)]
    operations: u32,
    /// How often something is killed, stopped or cut off
    #[arg(long, value_name = "N", default_value_t = 30)]
    faults: u32,
    /// Peers, in groups of five
    #[arg(long, value_name = "N", default_value_t = 20)]
    peers: u32,
    /// The history is another one for another seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// On one PostgreSQL with two nodes, which needs neither root nor Patroni; where there is no PostgreSQL, says so and succeeds
    #[arg(long)]
    small: bool,
}

/// Starts a cluster and stays, or runs a campaign on one.
///
/// # Errors
/// If it cannot be started, or the campaign has found something.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(Campaign::History(history @ History { small: true, .. })) = options.campaign {
        return run_history(history, None);
    }
    let target = cargo::target_dir()?;
    let tools = tools(options, &target)?;
    match &options.campaign {
        None => stay(tools, options.debug),
        Some(Campaign::History(history)) => run_history(*history, Some(&tools)),
        Some(Campaign::Proofs { names, sign_ins }) => {
            let mut args =
                vec!["cluster".to_owned(), "--sign-ins".into(), sign_ins.to_string(), "--patroni".into()];
            args.push(tools.display().to_string());
            args.extend(names.iter().flat_map(|name| ["--proof".to_owned(), name.clone()]));
            cargo::bench_as(&args.into_iter().map(Into::into).collect::<Vec<_>>(), !options.debug)
        }
    }
}

/// Patroni's programs, after what is missing beside them was installed.
fn tools(options: &Options, target: &Path) -> Result<std::path::PathBuf> {
    let missing = missing_packages();
    if !missing.is_empty() {
        let may_install = options.install || rustix::process::getuid().is_root();
        ensure!(may_install, "missing: Debian's {}; add --install, as root", missing.join(", "));
        say(&format!("# installing {} ...", missing.join(", ")));
        install_packages(&missing)?;
    }
    patroni(&target.join("patroni"))
}

fn run_history(history: History, patroni: Option<&Path>) -> Result<()> {
    let mut command = cargo::tests("peerd", "history::cluster::")?;
    for (name, value) in [
        ("DOS_CLUSTER_OPERATIONS", u64::from(history.operations)),
        ("DOS_CLUSTER_FAULTS", history.faults.into()),
        ("DOS_CLUSTER_PEERS", history.peers.into()),
        ("DOS_CLUSTER_SEED", history.seed),
    ] {
        command.env(name, value.to_string());
    }
    if let Some(patroni) = patroni {
        command.env("DOS_CLUSTER_PATRONI", patroni);
    }
    ensure!(command.status().context("cannot run the tests")?.success(), "the history cannot be");
    Ok(())
}

/// Starts it, tells how to use it, and waits for Ctrl-C.
fn stay(patroni: std::path::PathBuf, debug: bool) -> Result<()> {
    let patience = Patience::until_interrupted()?;
    let programs = if debug { cargo::build_debug()? } else { cargo::build_programs()?.join("release") };
    say("# starting three PostgreSQL under Patroni over etcd, and three nodes; half a minute ...");
    let dosd = programs.join("dosd");
    let cluster = Cluster::under_patroni(&dosd, patroni, &temp_dir(), &|| patience.is_over())?;
    describe(&cluster, &programs)?;
    while !patience.is_over() {
        let mut backoff = Backoff::within(std::time::Duration::from_secs(1));
        while !patience.is_over() && backoff.pause() {}
    }
    say("# stopping everything");
    drop(cluster);
    Ok(())
}

fn describe(cluster: &Cluster, programs: &Path) -> Result<()> {
    let shown = |program: &str| programs.join(program).display().to_string();
    let data = cluster.node_data(0).context("there is no node")?.display().to_string();
    say("\n$ patronictl list");
    say(&cluster.patronictl()?);
    say("\n$ dosd nodes");
    say(String::from_utf8_lossy(&cluster.operate(0, &["nodes"])?.stdout).trim_end());
    say("\nA peer, in another terminal:");
    say(&format!("  {} --profile alice --state-dir /tmp/alice --socket /tmp/alice.sock &", shown("peerd")));
    say(&format!(
        "  {} --socket /tmp/alice.sock register --name alice --server '{}'",
        shown("dosctl"),
        cluster.link()?
    ));
    say("\nThe operator (node 2 and 3: dos2, dos3):");
    say(&format!("  {} nodes --data-dir {data}", shown("dosd")));
    say(&format!("  {} store check {}", shown("dosd"), cluster.store().join(" ")));
    say("\nFailures:");
    for line in cluster.recipes() {
        say(&format!("  {line}"));
    }
    say(&format!(
        "\nFiles and logs are in {}. Ctrl-C ends and removes everything.",
        cluster.home().display()
    ));
    Ok(())
}
