//! `dosctl login`: goes online and stays so.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::count},
};

/// Goes online, and stays so across restarts of peerd
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Takes over from another live session of the same ID
    #[arg(long)]
    force: bool,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Login { force: args.force })? {
        Outcome::Session { id, state, replayed } => {
            context.screen.show(&json::Session { id, state, replayed: Some(replayed) }, |text| {
                let news = match replayed {
                    0 => String::new(),
                    replayed => format!("; {} came in from while it was away", count(replayed, "update")),
                };
                text.line(&format!("{id} is {}{news}", state.as_str()));
            })
        }
        _ => Err(unexpected()),
    }
}
