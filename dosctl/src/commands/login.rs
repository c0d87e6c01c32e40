//! `dosctl login`: goes online and stays so; or recovers an ID with its password, on a machine that has none yet.

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

/// Go online and stay online, also when peerd restarts; with --server, recover an ID
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl login
  dosctl login --server 'dos://...' --name alice    recover the ID of alice on a new machine")]
pub(crate) struct Args {
    /// Take over from another live session of the same ID
    #[arg(long, conflicts_with = "server")]
    force: bool,
    /// Recover an ID from the directory with this join link, with its password
    #[arg(long, value_name = "LINK", requires = "name")]
    server: Option<JoinLink>,
    /// Name of the ID to recover
    #[arg(long, requires = "server")]
    name: Option<PeerName>,
    #[command(flatten)]
    source: Source,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let command = match (args.server, args.name) {
        (Some(server), Some(name)) => {
            let password = args.source.read(Typed::Once)?;
            Command::Recover { server: JoinLink { invite: None, ..server }, name, password }
        }
        _ if args.source.is_named() => {
            let text = "a password goes with --server LINK --name NAME; without them the key signs in";
            return Err(WireError::new(Code::Usage, text).hint("dosctl login --help").into());
        }
        _ => Command::Login { force: args.force },
    };
    context.run(command, |outcome| match outcome {
        Outcome::Session { id, state, replayed } => {
            context.screen.show(&json::Session { id, state, replayed: Some(replayed) }, |text| {
                let received = match replayed {
                    0 => String::new(),
                    replayed => format!("; received {} from while it was away", count(replayed, "update")),
                };
                text.line(&format!("{id} is {}{received}", state.as_str()));
            })
        }
        _ => Err(unexpected()),
    })
}
