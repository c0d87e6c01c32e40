//! The program `peerd`: arguments, logging, signals; everything else is in the library.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use dos_protocol::paths::Environment;
use futures_util::StreamExt;
use peerd::{Config, cli::Arguments, stop::stop};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a configuration there may be no log yet.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let config = Config::load(arguments, &Environment::of_process())?;
    let filter = EnvFilter::try_new(&config.log).context("the log filter is not valid")?;
    // systemd and files get plain text (https://no-color.org).
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config));
    // Blocking work that did not end in time is cut off: whatever matters is durable.
    runtime.shutdown_background();
    outcome
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let (stopper, stop) = stop();
    let waiting = tokio::spawn(async move {
        signals.next().await;
        stopper.stop();
    });
    let outcome = Box::pin(peerd::run(config, stop)).await;
    waiting.abort();
    Ok(outcome?)
}
