//! `dosctl requests`: the requests that came in or went out.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Lists pending requests
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that came in
    #[arg(long)]
    incoming: bool,
    /// Only those that went out
    #[arg(long)]
    outgoing: bool,
    /// Answered and withdrawn ones too
    #[arg(long)]
    all: bool,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let incoming = args.incoming || !args.outgoing;
    let outgoing = args.outgoing || !args.incoming;
    match context.ask(Command::Requests { incoming, outgoing, all: args.all })? {
        Outcome::Requests { incoming: came, outgoing: went, contacts } => {
            context.screen.show(&json::Requests::new(&came, &went, &contacts), |text| {
                let (came, went) = (incoming.then_some(&came[..]), outgoing.then_some(&went[..]));
                human::requests(text, (came, went), &contacts, args.all);
            })
        }
        _ => Err(unexpected()),
    }
}
