//! `dosctl unblock`: takes back a block.

use dos_protocol::{
    PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::peer},
};

/// Takes back a block
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whom: an ID or a name
    peer: PeerRef,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Unblock(args.peer))? {
        Outcome::Peer(who) => {
            let document = json::Unblocked { peer: who.id, name: who.name.as_ref() };
            context.screen.show(&document, |text| {
                text.line(&format!("{} is no longer blocked", peer(who.name.as_ref(), who.id)));
            })
        }
        _ => Err(unexpected()),
    }
}
