//! `dosctl resolve`: one peer.

use dos_protocol::{
    PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Shows a peer's ID, name and address, and whether it is online
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An ID, a name or IP:PORT
    peer: PeerRef,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Resolve(args.peer))? {
        Outcome::Peer(peer) => {
            context.screen.show(&json::Peer::alone(&peer), |text| human::resolved(text, &peer))
        }
        _ => Err(unexpected()),
    }
}
