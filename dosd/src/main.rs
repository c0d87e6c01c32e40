//! `dosd`: logging and signals around the server, which is in the library, as are the operator's commands.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use dos_daemon::{
    activation,
    log::{Log, Style},
};
use dos_protocol::Code;
use dosd::{
    Server,
    cli::Serve,
    commands::{self, Run},
    config::Config,
    reload::Reload,
};
use futures_util::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
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
    // If even standard error is closed there is nobody to tell.
    drop(std::io::stderr().write_all(text.as_bytes()));
    ExitCode::from(Code::Internal.exit_code())
}

fn serve(options: Serve) -> anyhow::Result<()> {
    let Serve { said, config: file, .. } = options;
    let config = Config::load(said.clone(), file.as_deref())?;
    let log = Log::start(&config.log, Style::of_stderr(config.log_format))?;
    let passed = activation::tcp_listener()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(async {
        let mut signals =
            signal_hook_tokio::Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot watch for signals")?;
        let server = Server::start_on(&config, passed)?;
        let reload = Reload::new(said, file, config, log, server.directory());
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        tokio::spawn(async move {
            // The signals stay caught until the process ends.
            while let Some(signal) = signals.next().await {
                if signal == SIGHUP {
                    reload.run().await;
                } else {
                    stopping.cancel();
                }
            }
        });
        server.run(stop).await;
        anyhow::Ok(())
    })?;
    runtime.shutdown_background();
    Ok(())
}
