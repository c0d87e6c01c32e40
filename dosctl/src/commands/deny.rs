//! `dosctl deny`: turns a request down.

use dos_protocol::control::Command;

use crate::{
    answering::{self, Which},
    cli::free_text,
    context::Context,
    error::Error,
};

/// Deny requests for your images, or refuse direct messages from a peer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl deny 7 --reason \"not this one\"
  dosctl deny --all --from bob  every pending one of bob
  dosctl deny c1                refuse direct messages from that peer")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Tell the requester why
    #[arg(long, value_name = "TEXT", value_parser = free_text)]
    reason: Option<Box<str>>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let reason = args.reason;
    answering::run(args.which, context, |request| Command::Deny { request, reason: reason.clone() })
}
