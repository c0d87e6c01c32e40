//! `dosctl wait`: blocks until the session is online, or offline.

use std::time::Duration;

use dos_protocol::{control::Command, parse_duration};

use super::run_session;
use crate::{context::Context, error::Error};

/// Wait until the session is online or offline
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl wait --state online --timeout 10s")]
pub(crate) struct Args {
    /// State to wait for
    #[arg(long)]
    state: State,
    /// Give up after this time, with exit code 9
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Online,
    Offline,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let online = args.state == State::Online;
    run_session(Command::Wait { online, timeout: args.timeout }, context)
}
