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

/// Show a peer's ID, name and address, and whether it is online
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl resolve bob")]
pub(crate) struct Args {
    /// The peer, by ID, name or IP:PORT
    peer: PeerRef,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Resolve(args.peer), |outcome| match outcome {
        Outcome::Peer(peer) => {
            context.screen.show(&json::Peer::alone(&peer), |text| human::resolved(text, &peer))
        }
        _ => Err(unexpected()),
    })
}
