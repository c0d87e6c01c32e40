//! `dosctl register`: signs up at a directory.

use dos_protocol::{
    Code, JoinLink, PeerName, WireError,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    password::{Source, Typed},
};

/// Signs up at a directory and goes online; the identity stays with this profile
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Example: dosctl register --server "$(dosd link)" --name alice"#)]
pub struct Args {
    /// The directory's join link: dos://SERVERKEY@HOST:PORT
    #[arg(long, value_name = "LINK")]
    server: JoinLink,
    /// The name to go by: 1 to 32 of a-z 0-9 . _ -
    #[arg(long)]
    name: Option<PeerName>,
    /// The invite, where the directory wants one and the link has none
    #[arg(long, value_name = "CODE", value_parser = invite)]
    invite: Option<Box<str>>,
    /// Asks for a password, with which the ID can be taken back on another machine
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    password: bool,
    #[command(flatten)]
    source: Source,
}

fn invite(text: &str) -> Result<Box<str>, &'static str> {
    let valid = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if valid { Ok(text.into()) } else { Err("an invite is 1 to 64 letters and digits") }
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let mut server = args.server;
    server.invite = args.invite.or(server.invite);
    let wanted = args.password || args.source.is_named();
    if wanted && args.name.is_none() {
        let text = "a password is of use only with a name: it is by its name that an ID is taken back";
        return Err(WireError::new(Code::Usage, text).hint("dosctl register --help").into());
    }
    let password = if wanted { Some(args.source.read(Typed::Twice)?) } else { None };
    match context.ask(Command::Register { server, name: args.name, password })? {
        Outcome::Registered { id, name, server } => {
            let link = json::link(&server);
            context.screen.show(&json::Registered { id, name: name.as_ref(), server: link }, |text| {
                let name = name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
                text.line(&format!("registered as {id}{name} at {}", server.address()));
            })
        }
        _ => Err(unexpected()),
    }
}
