//! `dosctl approve`: grants what was requested.

use dos_protocol::{
    control::{Command, RequestArg},
    limits::VIEWS_MAX,
};

use super::{consent, run_request};
use crate::{context::Context, error::Error};

/// Approve a request for one of your images, or let a peer send you direct messages
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl approve 7                 grant the requested views
  dosctl approve 7 --views 1       grant 1 view instead
  dosctl approve 7 --no-offline    grant the views, but no checkouts
  dosctl approve c1                accept direct messages from that peer")]
pub(crate) struct Args {
    /// Number of the request in `dosctl requests`, such as 7 or c1
    request: RequestArg,
    /// Grant N views instead of the number requested
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(VIEWS_MAX)))]
    views: Option<u32>,
    /// Allow checkouts, though they were not requested
    #[arg(long, conflicts_with = "no_offline")]
    allow_offline: bool,
    /// Allow no checkouts, though they were requested
    #[arg(long)]
    no_offline: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let allow_offline = consent(args.allow_offline, args.no_offline);
    run_request(Command::Approve { request: args.request, views: args.views, allow_offline }, context)
}
