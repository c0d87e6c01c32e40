//! The program `peerd`: arguments, logging, signals; everything else is in the library.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::{CommandFactory as _, FromArgMatches as _};
use dos_daemon::{
    log::{Log, Style, last_words},
    process::{self, Signals},
    reload::Reload,
};
use dos_host::variables::without_empty;
use dos_protocol::{Code, paths::Environment};
use parking_lot::Mutex;
use peerd::{Config, Daemon, SettingsHandle, Then, cli::Arguments};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    dos_host::process::conceal_daemon();
    let matches = without_empty(Arguments::command()).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if arguments.decode_pictures {
        // Whoever asks has gone if this fails.
        return dos_preview::apart::serve(std::io::stdin().lock(), std::io::stdout().lock())
            .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    if arguments.check_config {
        return check(arguments);
    }
    if arguments.detached {
        // One that leads a process group already stays where it is: whatever has started it looks after it.
        let _ = rustix::process::setsid();
    }
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a configuration there may be no log yet.
            last_words(format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the daemon would start with these settings. Nothing is opened or made.
fn check(arguments: Arguments) -> ExitCode {
    match Config::load(arguments.given, arguments.config.as_deref(), &Environment::of_process()) {
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
    let Arguments { given, config: file, .. } = arguments;
    let config = Config::load(given.clone(), file.as_deref(), &environment)?;
    let log = Log::start(&config.log, Style::of_stderr(config.log_format))?;
    let _flush = log.flush_at_end();
    process::run(async {
        let signals = Signals::catch().context("cannot listen for signals")?;
        let now = Mutex::new(config.clone());
        let settings = Mutex::new(None::<SettingsHandle>);
        let reload = Reload::new(config, log);
        let reload = async || {
            let (given, file, environment) = (given.clone(), file.clone(), environment.clone());
            let load = move || Config::load(given, file.as_deref(), &environment);
            let apply = |config: Config| {
                now.lock().settings = config.settings;
                settings.lock().as_ref().is_some_and(|settings| settings.set(config.settings))
            };
            reload.run(load, apply).await;
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serving = async {
            loop {
                let config = now.lock().clone();
                let daemon = Box::pin(Daemon::start(config)).await?;
                *settings.lock() = Some(daemon.settings());
                if Box::pin(daemon.run(stopped.clone())).await == Then::Stop {
                    return Ok(());
                }
            }
        };
        tokio::select! {
            ended = serving => ended,
            never = signals.handle(stop, reload) => match never {},
        }
    })?
}
