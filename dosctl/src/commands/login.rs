//! `dosctl login`: goes online and stays so; with a password, on a machine that has no ID yet.

use dos_protocol::{
    Code, JoinLink, PeerName, WireError,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::count},
    password::{Source, Typed},
};

/// Goes online, and stays so across restarts of peerd; with --server, takes an ID back with its password
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, on a machine without the identity: dosctl login --server LINK --name alice")]
pub struct Args {
    /// Takes over from another live session of the same ID
    #[arg(long, conflicts_with = "server")]
    force: bool,
    /// The join link of the directory at which the ID is registered; asks for its password
    #[arg(long, value_name = "LINK", requires = "name")]
    server: Option<JoinLink>,
    /// The name of the ID that is taken back
    #[arg(long, requires = "server")]
    name: Option<PeerName>,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let command = match (args.server, args.name) {
        (Some(server), Some(name)) => {
            let password = args.source.read(Typed::Once)?;
            Command::Recover { server: JoinLink { invite: None, ..server }, name, password }
        }
        _ if args.source.is_named() => {
            let text = "a password is for --server LINK --name NAME; without them the key signs in";
            return Err(WireError::new(Code::Usage, text).hint("dosctl login --help").into());
        }
        _ => Command::Login { force: args.force },
    };
    match context.ask(command)? {
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
