//! `dosctl cancel`: cancels a request of one's own.

use dos_protocol::control::Command;

use super::run_request;
use crate::{context::Context, error::Error};

/// Cancel a pending request of yours
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl cancel 7")]
pub(crate) struct Args {
    /// Number of the request in `dosctl requests`
    request: u64,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    run_request(Command::Cancel(args.request), context)
}
