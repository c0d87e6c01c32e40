//! `dosctl up`: from nothing to online, whatever is missing.

mod nearby;

use dos_protocol::{
    Code, JoinLink, PeerName, WireError,
    control::{Command, Outcome, SessionState, Status},
};

use super::{show_joined, taken};
use crate::{
    context::{Context, unexpected},
    daemon::{self, Started},
    error::Error,
    output::json,
};

/// Start peerd if it is not running, sign up with a join link or go online, and say what to do next
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl up 'dos://AkZA...@192.0.2.10:5001?invite=8gTP...' --name alice
  dosctl up

Without a link, a profile that has not signed up looks for directories on the local network and asks which one is meant.

peerd is started by the user's service manager where peerd@.service is installed for it, else in the background, with \
the log in the state directory.")]
pub(crate) struct Args {
    /// Join link of the directory, or of a peer that invites you (dosctl invite)
    link: Option<JoinLink>,
    /// Name that others know you by: 1 to 32 of a-z 0-9 . _ - [default: the one in the link of an invitation]
    #[arg(long)]
    name: Option<PeerName>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let started = daemon::start(&context.target()?)?;
    if let Started::Background { log } = &started {
        context.screen.note(&format!("started peerd in the background; its log is {}\n", log.display()));
    }
    if let Started::Unit { unit } = &started {
        context.screen.note(&format!("started {unit}; at every login: systemctl --user enable {unit}\n"));
    }
    let Outcome::Status(status) = context.ask(Command::Status)? else { return Err(unexpected()) };
    let mut command = what_to_do(args, &status, context)?;
    if let (Command::Server(_), SessionState::Offline) = (&command, status.state) {
        context.ask(command)?;
        command = Command::Login { force: false };
    }
    if let (Command::Join(_), SessionState::Offline) = (&command, status.state) {
        context.ask(Command::Login { force: false })?;
    }
    context.run(command, |outcome| {
        let joined = match &outcome {
            Outcome::Registered { joined, .. } => joined.clone(),
            Outcome::Joined(joined) => Some(joined.clone()),
            _ => None,
        };
        let (id, name, server, is_new) = match outcome {
            Outcome::Registered { id, name, server, .. } => (id, name, server, true),
            Outcome::Session { state: SessionState::Online, .. } | Outcome::Joined(_) => {
                let Outcome::Status(status) = context.ask(Command::Status)? else { return Err(unexpected()) };
                let (id, server) = (status.id.ok_or_else(unexpected)?, status.server.clone());
                (id, status.name.clone(), server.ok_or_else(unexpected)?, false)
            }
            _ => return Err(unexpected()),
        };
        let up = json::Up {
            id,
            name: name.as_ref(),
            state: SessionState::Online,
            server: json::link(&server),
            registered: is_new,
            started: started.as_str(),
            joined: joined.as_deref().map(Into::into),
        };
        context.screen.show(&up, |text| {
            let name = name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let done = if is_new { "registered as" } else { "online as" };
            text.line(&format!("{done} {id}{name} at {}", server.address()));
            show_joined(text, joined.as_deref());
            if joined.is_some() {
                return;
            }
            if is_new {
                text.note("next: `dosctl add FILE` publishes an image, `dosctl share NAME PEER --views N` lets a peer view it,");
                text.note("`dosctl list` shows what others have, `dosctl --help` everything else");
            } else if status.requests > 0 || status.messages > 0 {
                text.note("next: `dosctl requests` and `dosctl messages` show what came in");
            }
        })?;
        taken(joined.as_deref())
    })
}

/// Signs up, or goes online.
fn what_to_do(args: Args, status: &Status, context: &Context) -> Result<Command, Error> {
    let Args { link, name } = args;
    match (link, &status.server, status.state) {
        (Some(server), _, SessionState::Unregistered) => {
            Ok(Command::Register { server, name, password: None })
        }
        (None, _, SessionState::Unregistered) => nearby::register(status, name, context),
        (None, ..) if name.is_some() => {
            let text = format!("profile \"{}\" has signed up already", status.profile);
            Err(WireError::new(Code::Usage, text).hint("dosctl name NEW").into())
        }
        (Some(link), Some(server), _) if link.key != server.key => {
            let text = format!(
                "profile \"{}\" is registered at another directory, {}",
                status.profile,
                server.address()
            );
            Err(WireError::new(Code::Conflict, text)
                .hint("dosctl --profile OTHER up LINK --name NAME")
                .into())
        }
        (Some(link), _, _) if link.invitation.is_some() => Ok(Command::Join(link)),
        // The same directory, that has moved.
        (Some(link), Some(server), _) if link.address() != server.address() => Ok(Command::Server(link)),
        _ => Ok(Command::Login { force: false }),
    }
}
