//! The program `peerd`: arguments, logging, signals; everything else is in the library.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use dos_daemon::{
    log::{Log, Style},
    notify,
};
use dos_protocol::paths::Environment;
use futures_util::StreamExt;
use peerd::{Config, cli::Arguments, stop::stop};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

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
    Log::start(&config.log, Style::of_stderr())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config));
    // Blocking work that did not end in time is cut off: whatever matters is durable.
    runtime.shutdown_background();
    outcome
}

/// No setting changes while the daemon runs; whoever asked for it is answered nevertheless.
fn reload() {
    notify::reloading();
    notify::ready();
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let (stopper, stop) = stop();
    let waiting = tokio::spawn(async move {
        while signals.next().await == Some(SIGHUP) {
            reload();
        }
        stopper.stop();
    });
    let outcome = Box::pin(peerd::run(config, stop)).await;
    waiting.abort();
    Ok(outcome?)
}
