//! `dosctl watch`: events as they happen.

use dos_protocol::{PeerRef, control::Command};

use crate::{
    context::Context,
    error::Error,
    output::{human, json},
};

/// Shows events as they happen, until interrupted
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl watch alice bob")]
pub struct Args {
    /// Only what has to do with these peers, and with the own session: IDs, names or IP:PORT
    #[arg(value_name = "PEER")]
    peers: Vec<PeerRef>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.follow(Command::Watch { peers: args.peers }, &mut |event| {
        context.screen.show(&json::Event::from(event), |text| human::event(text, event))
    })
}
