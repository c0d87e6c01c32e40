//! `dosctl cancel`: withdraws a request.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Withdraws a pending request of one's own
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request's number, as `dosctl requests` shows it
    request: u64,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Cancel(args.request))? {
        Outcome::Request { request, updated } => context
            .screen
            .show(&json::Request::from(&*request), |text| human::request(text, &request, updated)),
        _ => Err(unexpected()),
    }
}
