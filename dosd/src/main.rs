//! `dosd`: settings, log and signals around the server, which is in the library, as are the operator's commands.

use std::{io::IsTerminal, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use dos_daemon::{
    activation,
    log::{Log, Style, last_words},
    process::{self, Signals},
    reload::Reload,
};
use dos_protocol::Code;
use dosd::{
    Server,
    cli::Serve,
    commands::{self, Run},
    config::Config,
    greeting,
};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    dos_host::process::conceal_daemon();
    match commands::run(std::env::args_os()) {
        Run::Ended(code) => ExitCode::from(code),
        Run::Serve(options) => match serve(*options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => report(&error),
        },
    }
}

/// Tells a person why the server does not run.
fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text += &format!("cause: {cause}\n");
    }
    last_words(text);
    ExitCode::from(Code::Internal.exit_code())
}

/// Tells a person at a terminal how others join. Where no one reads it, there is nothing to tell.
fn greet(data_dir: &Path, listen: String) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let data_dir = data_dir.to_owned();
    tokio::task::spawn_blocking(move || match greeting::greeting(&data_dir, &listen) {
        Ok(text) => last_words(text),
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot make a join link"),
    });
}

fn serve(options: Serve) -> anyhow::Result<()> {
    let Serve { said, config: file, .. } = options;
    let config = Config::load(said.clone(), file.as_deref())?;
    let log = Log::start(&config.log, Style::of_stderr(config.log_format))?;
    let _flush = log.flush_at_end();
    let passed = activation::tcp_listener()?;
    process::run(async {
        let signals = Signals::catch().context("cannot watch for signals")?;
        let server = Server::start_on(&config, passed)?;
        let data_dir = config.data_dir.clone();
        // Weak, because the store closes only when nobody holds it any more.
        let directory = Arc::downgrade(server.directory());
        let reload = Reload::new(config, log);
        let reload = async || {
            let (said, file) = (said.clone(), file.clone());
            let apply = |config: Config| {
                directory.upgrade().map(|directory| directory.set(config.settings)).is_some()
            };
            reload.run(move || Config::load(said, file.as_deref()), apply).await;
        };
        let listens_at = server.listens_at().map_or_else(|| "a passed socket".into(), |at| at.to_string());
        greet(&data_dir, listens_at);
        let stop = CancellationToken::new();
        tokio::select! {
            ended = Box::pin(server.run(stop.clone())) => Ok(ended?),
            never = signals.handle(stop, reload) => match never {},
        }
    })
    .context("cannot start a runtime")?
}
