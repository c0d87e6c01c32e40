//! `dosctl unblock`: ends a block.

use dos_protocol::{
    PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::peer},
};

/// Unblock a peer
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl unblock mallory")]
pub(crate) struct Args {
    /// The peer, by ID or name
    peer: PeerRef,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Unblock(args.peer), |outcome| match outcome {
        Outcome::Peer(who) => {
            let document = json::Unblocked { peer: who.id, name: who.name.as_ref() };
            context.screen.show(&document, |text| {
                text.line(&format!("unblocked {}", peer(who.name.as_ref(), who.id)));
            })
        }
        _ => Err(unexpected()),
    })
}
