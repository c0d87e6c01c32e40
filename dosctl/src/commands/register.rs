//! `dosctl register`: signs up at a directory.

use dos_protocol::{
    Code, JoinLink, PeerName, WireError,
    control::{Command, Outcome},
};

use super::{show_joined, taken};
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    password::{Source, Typed},
};

/// Sign up at a directory and go online
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl register --server 'dos://AkZA...@192.0.2.10:5001?invite=8gTP...' --name alice
  dosctl register --server \"$(dosd link)\" --name alice --password

A link that a peer has made for you (`dosctl invite`) also makes the two of you known to each other.")]
pub(crate) struct Args {
    /// Join link of the directory: dos://SERVERKEY@HOST:PORT
    #[arg(long, value_name = "LINK")]
    server: JoinLink,
    /// Name that others know you by: 1 to 32 of a-z 0-9 . _ - [default: the one in the link of an invitation]
    #[arg(long)]
    name: Option<PeerName>,
    /// Invite, if the link has none
    #[arg(long, value_name = "CODE", value_parser = invite)]
    invite: Option<Box<str>>,
    /// Ask for a password with which another machine gets this ID and its key
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    password: bool,
    #[command(flatten)]
    source: Source,
}

pub(super) fn invite(text: &str) -> Result<Box<str>, &'static str> {
    let valid = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if valid { Ok(text.into()) } else { Err("an invite is 1 to 64 letters and digits") }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let mut server = args.server;
    server.invite = args.invite.or(server.invite);
    let wanted = args.password || args.source.is_named();
    if wanted && args.name.is_none() {
        let text = "a password needs --name, by which another machine logs in";
        return Err(WireError::new(Code::Usage, text).hint("dosctl register --help").into());
    }
    let password = if wanted { Some(args.source.read(Typed::Twice)?) } else { None };
    context.run(Command::Register { server, name: args.name, password }, |outcome| match outcome {
        Outcome::Registered { id, name, server, joined } => {
            let document = json::Registered {
                id,
                name: name.as_ref(),
                server: json::link(&server),
                joined: joined.as_deref().map(Into::into),
            };
            context.screen.show(&document, |text| {
                let name = name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
                text.line(&format!("registered as {id}{name} at {}", server.address()));
                show_joined(text, joined.as_deref());
            })?;
            taken(joined.as_deref())
        }
        _ => Err(unexpected()),
    })
}
