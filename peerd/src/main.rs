//! The program `peerd`: arguments, logging, signals; everything else is in the library.

use std::{io::Write, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Parser;
use dos_daemon::log::{Log, Style};
use dos_protocol::{Code, paths::Environment};
use futures_util::StreamExt;
use peerd::{Config, cli::Arguments, reload::Reload};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check_config {
        return check(arguments);
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a configuration there may be no log yet.
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the daemon would start with these settings. Nothing is opened or made.
fn check(arguments: Arguments) -> ExitCode {
    match Config::load(arguments, &Environment::of_process()) {
        Ok(_) => {
            // If nobody reads it, the exit code still tells.
            drop(writeln!(std::io::stdout(), "the configuration is good"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            drop(writeln!(std::io::stderr(), "error: {error:#}"));
            ExitCode::from(Code::Usage.exit_code())
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    let config = Config::load(arguments.clone(), &environment)?;
    let log = Log::start(&config.log, Style::of_stderr(config.log_format))?;
    let reload = Arc::new(Reload::new(arguments, environment, config.clone(), log));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(config, reload));
    // Blocking work that did not end in time is cut off: whatever matters is durable.
    runtime.shutdown_background();
    outcome
}

async fn run(config: Config, reload: Arc<Reload>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let reloading = Arc::clone(&reload);
    let waiting = tokio::spawn(async move {
        while signals.next().await == Some(SIGHUP) {
            reloading.run().await;
        }
        stopping.cancel();
    });
    let outcome = Box::pin(peerd::run(config, &reload, stop)).await;
    waiting.abort();
    Ok(outcome?)
}
