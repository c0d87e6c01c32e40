//! `dosctl news`: what has happened since the last look.
//!
//! What always holds: an event counts as shown only when everything is written to standard output.

use dos_protocol::control::{Command, Event, FromPeerd, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Show what has happened since the last look: answers, grants, receipts, requests, messages
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl news
  dosctl news --all")]
pub(crate) struct Args {
    /// Everything that is kept, also what was shown before
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let mut client = context.start(Command::News { all: args.all })?;
    let mut news: Vec<Event> = Vec::new();
    loop {
        match client.receive_known(&mut |kind| context.screen.skipped(kind))? {
            FromPeerd::Event(event) => news.push(*event),
            FromPeerd::Done(outcome) if matches!(*outcome, Outcome::News(_)) => break,
            FromPeerd::Failed(error) => return Err(error.into()),
            _ => return Err(unexpected()),
        }
    }
    context.screen.show(&json::News::from(&*news), |text| human::news(text, &news, args.all))?;
    client.shown();
    Ok(())
}
