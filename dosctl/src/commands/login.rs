//! `dosctl login`: goes online and stays so; or gets an ID and its key with a password, on a machine that has none yet.

use std::io::{self, IsTerminal};

use dos_protocol::{
    Code, JoinLink, PeerName, Reason, WireError,
    control::{Command, Outcome},
};

use crate::{
    confirm::confirm,
    context::{Context, unexpected},
    error::Error,
    output::{json, words::count},
    password::{Source, Typed},
};

/// Go online and stay online, also when peerd restarts; with --server, with the ID of another machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl login
  dosctl login --server 'dos://...' --name alice    with the ID and key of alice, on a new machine")]
pub(crate) struct Args {
    /// Take over from another live session of the same ID
    #[arg(long)]
    force: bool,
    /// With --name: get an ID and its key from the directory with this join link, with its password; without: it is the same
    /// directory at another address
    #[arg(long, value_name = "LINK")]
    server: Option<JoinLink>,
    /// Name of that ID
    #[arg(long, requires = "server")]
    name: Option<PeerName>,
    #[command(flatten)]
    source: Source,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    match (args.server, args.name) {
        (Some(server), Some(name)) => {
            let password = args.source.read(Typed::Once)?;
            let server = server.bare();
            let command = |force| {
                let (server, name, password) = (server.clone(), name.clone(), password.clone());
                Command::Recover { server, name, password, force }
            };
            match log_in(command(args.force), context) {
                Err(error) if is_elsewhere(&error) && may_ask(context) && confirmed(&error)? => {
                    log_in(command(true), context)
                }
                other => other,
            }
        }
        (Some(server), None) if !args.source.is_named() => {
            // One command, one answer: that of the login.
            context.perform(Command::Server(server))?.0.shown();
            log_in(Command::Login { force: args.force }, context)
        }
        _ if args.source.is_named() => {
            let text = "a password goes with --server LINK --name NAME; without them the key signs in";
            Err(WireError::new(Code::Usage, text).hint("dosctl login --help").into())
        }
        _ => log_in(Command::Login { force: args.force }, context),
    }
}

fn is_elsewhere(error: &Error) -> bool {
    matches!(error, Error::Told(error) if error.reason == Some(Reason::Elsewhere))
}

/// Scripts are not asked: they read JSON, or no person types what they read.
fn may_ask(context: &Context) -> bool {
    !context.screen.is_json() && io::stdin().is_terminal()
}

fn confirmed(error: &Error) -> Result<bool, Error> {
    let question = format!(
        "{error}.\nTake over? The other machine is then offline until `dosctl login --force` there. [y/N] "
    );
    confirm(&question)
}

fn log_in(command: Command, context: &Context) -> Result<(), Error> {
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
