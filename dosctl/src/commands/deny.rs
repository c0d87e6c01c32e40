//! `dosctl deny`: turns a request down.

use dos_protocol::control::{Command, RequestArg};

use super::run_request;
use crate::{cli::free_text, context::Context, error::Error};

/// Deny a request for one of your images, or refuse direct messages from a peer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl deny 7 --reason \"not this one\"
  dosctl deny c1                refuse direct messages from that peer")]
pub(crate) struct Args {
    /// Number of the request in `dosctl requests`, such as 7 or c1
    request: RequestArg,
    /// Tell the requester why
    #[arg(long, value_name = "TEXT", value_parser = free_text)]
    reason: Option<Box<str>>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    run_request(Command::Deny { request: args.request, reason: args.reason }, context)
}
