//! `dosctl deny`: refuses a request.

use dos_protocol::control::{Command, Outcome, RequestArg};

use crate::{
    cli::free_text,
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Refuses a request for one's own image, or direct messages of a peer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request's number, or cN, as `dosctl requests` shows it
    request: RequestArg,
    /// A word to the asker
    #[arg(long, value_name = "TEXT", value_parser = free_text)]
    reason: Option<Box<str>>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Deny { request: args.request, reason: args.reason })? {
        Outcome::Request { request, updated } => context
            .screen
            .show(&json::Request::from(&*request), |text| human::request(text, &request, updated)),
        Outcome::Contact(contact) => {
            context.screen.show(&json::Contact::from(&*contact), |text| human::contact(text, &contact))
        }
        _ => Err(unexpected()),
    }
}
