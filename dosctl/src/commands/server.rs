//! `dosctl server`: the same directory at another address.

use dos_protocol::{JoinLink, control::Command};

use super::run_session;
use crate::{context::Context, error::Error};

/// Go on with the same directory at another address; its key must be the same
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl server 'dos://AkZA...@198.51.100.7:5001'")]
pub(crate) struct Args {
    /// Join link of the directory with its new address: dos://SERVERKEY@HOST:PORT
    link: JoinLink,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    run_session(Command::Server(args.link), context)
}
