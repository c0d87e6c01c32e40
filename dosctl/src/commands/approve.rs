//! `dosctl approve`: grants what was requested.

use dos_protocol::{control::Command, limits::VIEWS_MAX};

use super::consent;
use crate::{
    answering::{self, Which},
    context::Context,
    error::Error,
};

/// Approve requests for your images, or let a peer send you direct messages
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl approve 7                 grant the requested views
  dosctl approve 7 --views 1       grant 1 view instead
  dosctl approve 7 --no-offline    grant the views, but no checkouts
  dosctl approve 7 8 9             several at once
  dosctl approve --all --from bob  every pending one of bob
  dosctl approve c1                accept direct messages from that peer")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
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
    let views = args.views;
    answering::run(args.which, context, |request| Command::Approve { request, views, allow_offline })
}
