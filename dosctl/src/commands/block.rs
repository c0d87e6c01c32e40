//! `dosctl block`: takes nothing more from a peer.

use dos_protocol::{
    PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Takes no more messages and requests of a peer, and hides from it; rights that it has go on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom: an ID, a name or IP:PORT
    peer: PeerRef,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Block(args.peer))? {
        Outcome::Blocked(blocked) => {
            context.screen.show(&json::Blocked::from(&*blocked), |text| human::blocked(text, &blocked))
        }
        _ => Err(unexpected()),
    }
}
