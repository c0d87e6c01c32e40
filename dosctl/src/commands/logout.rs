//! `dosctl logout`: goes offline and stays so.

use dos_protocol::control::Command;

use super::run_session;
use crate::{context::Context, error::Error};

/// Go offline and stay offline, also when peerd restarts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    run_session(Command::Logout, context)
}
