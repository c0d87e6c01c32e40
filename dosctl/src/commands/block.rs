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

/// Block a peer: refuse its messages and requests, and appear offline to it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: dosctl block mallory

Grants that the peer has stay until you revoke them: dosctl share NAME PEER --revoke")]
pub(crate) struct Args {
    /// The peer, by ID, name or IP:PORT
    peer: PeerRef,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Block(args.peer), |outcome| match outcome {
        Outcome::Blocked(blocked) => {
            context.screen.show(&json::Blocked::from(&*blocked), |text| human::blocked(text, &blocked))
        }
        _ => Err(unexpected()),
    })
}
