//! `dosctl wait`: blocks until the session is online, or offline.

use std::time::Duration;

use dos_protocol::{
    control::{Command, Outcome},
    parse_duration,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
};

/// Blocks until the session is online or offline
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl wait --state online --timeout 10s")]
pub struct Args {
    /// Which state to wait for
    #[arg(long)]
    state: State,
    /// Gives up after this time (exit code 9)
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Online,
    Offline,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let online = args.state == State::Online;
    match context.ask(Command::Wait { online, timeout: args.timeout })? {
        Outcome::Session { id, state, .. } => {
            context.screen.show(&json::Session { id, state, replayed: None }, |text| {
                text.line(&format!("{id} is {}", state.as_str()));
            })
        }
        _ => Err(unexpected()),
    }
}
