//! `dosctl approve`: grants a request.

use dos_protocol::{
    control::{Command, Outcome, RequestArg},
    limits::VIEWS_MAX,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Grants a request for one's own image, or lets a peer send direct messages
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request's number, or cN, as `dosctl requests` shows it
    request: RequestArg,
    /// So many views instead of those asked for
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Approve { request: args.request, views: args.views })? {
        Outcome::Request { request, updated } => context
            .screen
            .show(&json::Request::from(&*request), |text| human::request(text, &request, updated)),
        Outcome::Contact(contact) => {
            context.screen.show(&json::Contact::from(&*contact), |text| human::contact(text, &contact))
        }
        _ => Err(unexpected()),
    }
}
