//! `dosctl shares`: the rights that one has given or received.

use dos_protocol::{
    Timestamp,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Lists access rights, with views left and used
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that one has given
    #[arg(long)]
    given: bool,
    /// Only those that one has received
    #[arg(long)]
    received: bool,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let given = args.given || !args.received;
    let received = args.received || !args.given;
    match context.ask(Command::Shares { given, received })? {
        Outcome::Grants { given: gave, received: got } => {
            context.screen.show(&json::Shares::new(&gave, &got, Timestamp::now()), |text| {
                human::shares(text, given.then_some(&gave[..]), received.then_some(&got[..]));
            })
        }
        _ => Err(unexpected()),
    }
}
