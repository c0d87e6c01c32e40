//! `dosctl ping`: the way to a peer and back.

use dos_protocol::{
    PeerRef,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{
        json,
        words::{millis, peer as who, way as in_words},
    },
};

/// Connects to a peer as a transfer would, and shows which way that goes and the round trip
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
    match context.ask(Command::Ping(args.peer))? {
        Outcome::Pong { id, name, way, round_trip_us } => {
            let round_trip_ms = millis(round_trip_us);
            let pong = json::Pong { id, name: name.as_ref(), way: Some(way).into(), round_trip_ms };
            context.screen.show(&pong, |text| {
                let who = who(name.as_ref(), id);
                text.line(&format!("{who} answers in {round_trip_ms:.3} ms ({})", in_words(way)));
            })
        }
        _ => Err(unexpected()),
    }
}
