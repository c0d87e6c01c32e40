//! Measures dos side by side with the raw limit of each thing, on loopback, in one run.
//!
//! `dos-bench [NAME...] [--quick] [--json FILE]`. The programs under test and the bare servers run as processes of their
//! own; the load generator is this process. Each row is a file in `rows`; a new one is added there and in [`rows::ROWS`].

mod bare;
mod dice;
mod dosd;
mod lab;
mod load;
mod nats;
mod others;
mod peers;
mod photo;
mod programs;
mod rows;
mod server;
mod stats;
mod table;

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{
    bare::Buffers,
    lab::Lab,
    programs::Programs,
    rows::ROWS,
    table::{Table, write_json},
};

/// Measures dos side by side with the raw limits, on loopback.
#[derive(Debug, Parser)]
#[command(name = "dos-bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// What to measure; everything, if not said.
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(ROWS.map(|row| row.name)))]
    names: Vec<String>,
    /// Small numbers and few rounds: whether it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Writes the rows to a file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to keep the databases while it runs: a disk, not a memory file system [default: beside the program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    cluster: rows::ClusterOptions,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// The bare servers, which the measurements start by themselves.
#[derive(Debug, Subcommand)]
enum Helper {
    #[command(hide = true)]
    BareServer {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        key_file: PathBuf,
        #[arg(long, value_enum, default_value_t = Buffers::Default)]
        buffers: Buffers,
    },
    #[command(hide = true)]
    BareEcho { path: PathBuf },
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.helper {
            Some(Helper::BareServer { listen, key_file, buffers }) => {
                bare::serve(listen, &key_file, buffers).await.map(|()| ExitCode::SUCCESS)
            }
            Some(Helper::BareEcho { path }) => bare::serve_unix(&path).await.map(|()| ExitCode::SUCCESS),
            None => Box::pin(measure(cli)).await,
        }
    })
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
async fn measure(cli: Cli) -> anyhow::Result<ExitCode> {
    let programs = Programs::new()?;
    let lab = Lab::open(programs, (cli.dir, cli.quick), cli.cluster)?;
    let mut done = Vec::new();
    for row in ROWS.iter().filter(|row| cli.names.is_empty() || cli.names.iter().any(|name| name == row.name))
    {
        tell(&format!("{}: {} ...", row.name, row.about));
        let rows = (row.measure)(&lab).await.with_context(|| format!("cannot measure {}", row.name))?;
        tell(&format!("{}", Table(&rows)));
        done.extend(rows);
    }
    println!("{}", Table(&done));
    if let Some(path) = cli.json {
        write_json(&done, &path)?;
    }
    let short = done.iter().filter(|row| row.is_short()).count();
    println!("{} rows, {short} short of their bar", done.len());
    Ok(if short == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Progress, for the person who waits.
fn tell(text: &str) {
    // Without a terminal nobody waits.
    drop(writeln!(std::io::stderr(), "{text}"));
}
