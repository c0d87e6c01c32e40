//! `dosctl ping`: the way to a peer and back.

use dos_protocol::{
    PeerRef,
    control::{Command, How, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{
        human, json,
        words::{millis, peer as who, way_and_how as in_words},
    },
};

/// Connect to a peer as a transfer would, and show the path and the round trip
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dosctl ping bob\n  dosctl ping bob --explain")]
pub(crate) struct Args {
    /// The peer, by ID, name or IP:PORT
    peer: PeerRef,
    /// Try every way to its end, and show what came of each and what would help
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    if args.explain {
        return context.run(Command::Explain(args.peer), |outcome| match outcome {
            Outcome::Explained(explained) => context
                .screen
                .show(&json::Explained::from(&*explained), |text| human::explained(text, &explained)),
            _ => Err(unexpected()),
        });
    }
    context.run(Command::Ping(args.peer), |outcome| match outcome {
        Outcome::Pong { id, name, way, round_trip_us, how } => {
            let round_trip_ms = millis(round_trip_us);
            let how_text = how.map(How::as_str);
            let pong =
                json::Pong { id, name: name.as_ref(), way: Some(way).into(), round_trip_ms, how: how_text };
            context.screen.show(&pong, |text| {
                let who = who(name.as_ref(), id);
                text.line(&format!("{who} answers in {round_trip_ms:.3} ms ({})", in_words(way, how)));
            })
        }
        _ => Err(unexpected()),
    })
}
