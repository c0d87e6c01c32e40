//! The arguments: the options of every command, the commands, and the errors for wrong arguments.
//!
//! Each command's own arguments stand in its file under [`crate::commands`]. A flag beats the environment.

use std::{error::Error as _, ffi::OsString, path::PathBuf};

use clap::{
    ArgMatches, Args as _, Command, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::FalseyValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use dos_host::variables::without_empty;
use dos_protocol::{
    Code, WireError,
    id::IdError,
    limits::TEXT_BYTES_MAX,
    model::{ImageArgError, PeerRefError},
    name::{NameError, printable},
    paths::{DEFAULT_PROFILE, is_profile},
};

use crate::{commands as verbs, context::Context, error::Error, output::Screen};

const EVERYWHERE: &str = "Global options";

const AFTER_HELP: &str = "\
Examples:
  dosctl register --server 'dos://AkZA...@192.0.2.10:5001?invite=8gTP...' --name alice
  dosctl add sea.jpg
  dosctl share sea bob --views 3
  dosctl view bob/hill -o hill.jpg

A PEER is an ID (8 characters), a name, or IP:PORT. An IMAGE is OWNER/NAME, or NAME for your own.
A DUR is 90s, 10m, 2h or 7d.

Exit codes: 0 done, 1 internal, 2 usage, 3 no daemon, 4 offline, 5 not found, 6 denied, 7 conflict,
8 invalid, 9 timeout.";

/// Share images peer to peer, with every view counted.
#[derive(Debug, Parser)]
#[command(name = "dosctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Global {
    /// Talk to the peerd of this profile
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME", env = "DOSCTL_PROFILE", default_value = DEFAULT_PROFILE)]
    #[arg(value_parser = profile, hide_env_values = true)]
    pub(crate) profile: String,
    /// Talk to the peerd at this socket, instead of a profile
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "PATH", env = "DOSCTL_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON (JSON Lines for `watch` and `messages --follow`), also for errors
    #[arg(long, global = true, help_heading = EVERYWHERE, env = "DOSCTL_JSON", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

fn profile(text: &str) -> Result<String, &'static str> {
    if is_profile(text) {
        Ok(text.into())
    } else {
        Err("a profile has 1 to 32 of a-z A-Z 0-9 . _ - and does not begin with a dot or a dash")
    }
}

/// A text longer than a message may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text has at most {TEXT_BYTES_MAX} bytes")]
pub(crate) struct TextTooLong;

/// Reads a free text, such as a note or a reason.
///
/// # Errors
/// If it is too long to be sent.
pub(crate) fn free_text(text: &str) -> Result<Box<str>, TextTooLong> {
    if text.len() <= TEXT_BYTES_MAX { Ok(text.into()) } else { Err(TextTooLong) }
}

/// Defines the commands: for each a variant with the arguments of its file, and the call of its `run`.
macro_rules! verbs {
    ($($verb:ident $file:ident),* $(,)?) => {
        /// A command with its arguments.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $(
                $verb(verbs::$file::Args),
            )*
        }

        impl Verb {
            pub(crate) fn run(self, context: &Context) -> Result<(), Error> {
                match self {
                    $(Self::$verb(args) => verbs::$file::run(args, context),)*
                }
            }

            /// The arguments of the command of this name alone.
            fn alone(name: &str) -> Option<Command> {
                match name {
                    $(stringify!($file) => Some(verbs::$file::Args::augment_args(Command::new(stringify!($file)))),)*
                    _ => None,
                }
            }

            fn from_alone(name: &str, matches: &ArgMatches) -> Option<Self> {
                match name {
                    $(stringify!($file) => verbs::$file::Args::from_arg_matches(matches).ok().map(Self::$verb),)*
                    _ => None,
                }
            }
        }
    };
}

verbs! {
    Up up, Register register, Login login, Logout logout, Server server, Name name, Unregister unregister, Password password, Status status, Wait wait, List list, Resolve resolve, Add add,
    Remove remove, Rename rename, Preview preview, Share share, Shares shares, Request request, Cancel cancel,
    Requests requests, Approve approve, Deny deny, Fetch fetch, View view, Checkout checkout, Checkin checkin,
    Send send, Broadcast broadcast, Messages messages, Block block, Unblock unblock, Blocks blocks, Ping ping, Netcheck netcheck,
    Watch watch, News news, Card card, Trust trust, Contacts contacts, Invite invite, Invites invites, Group group, Groups groups,
    Gallery gallery, Set set, Album album, Albums albums,
    Instances instances, Completions completions,
}

/// Why there is no command to run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The help or the version.
    Print(String),
    /// No command: the help lists them.
    Nothing(String),
    Wrong(WireError),
}

impl Stop {
    pub(crate) fn show(self, screen: &Screen) -> Result<(), Error> {
        match self {
            Self::Print(text) => screen.print(&text),
            Self::Nothing(help) => {
                screen.note(&help);
                Err(WireError::new(Code::Usage, "no command given").hint("dosctl --help").into())
            }
            Self::Wrong(error) => Err(error.into()),
        }
    }
}

/// Reads the arguments, program name first, and the environment.
///
/// # Errors
/// What to show instead of running a command.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, Stop> {
    match parse_alone(args) {
        Some(cli) => Ok(cli),
        None => parse_full(args),
    }
}

/// Reads arguments that are right without setting up the other commands, which would take most of the time that
/// dosctl needs. Whatever it does not take is left to [`parse_full`], which knows what to say.
fn parse_alone(args: &[OsString]) -> Option<Cli> {
    let verb = args.iter().skip(1).find_map(|arg| Verb::alone(arg.to_str()?))?;
    let root =
        Command::new("dosctl").disable_help_subcommand(true).subcommand_required(true).subcommand(verb);
    let matches = without_empty(Global::augment_args(root)).try_get_matches_from(args).ok()?;
    let mut global = Global::from_arg_matches(&matches).ok()?;
    settle(&mut global, &matches).ok()?;
    let (name, own) = matches.subcommand()?;
    Some(Cli { global, verb: Verb::from_alone(name, own)? })
}

fn parse_full(args: &[OsString]) -> Result<Cli, Stop> {
    let matches =
        without_empty(Cli::command()).try_get_matches_from(args).map_err(|error| stop(&error, args))?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(|error| stop(&error, args))?;
    settle(&mut cli.global, &matches).map_err(Stop::Wrong)?;
    Ok(cli)
}

/// Decides between a profile and a socket: a flag beats the environment, then a socket beats a profile.
fn settle(global: &mut Global, matches: &ArgMatches) -> Result<(), WireError> {
    let flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    match (flag("profile"), flag("socket")) {
        (true, true) => {
            let text = "--profile and --socket cannot be used together";
            Err(WireError::new(Code::Usage, text).hint("dosctl --help"))
        }
        (true, false) => {
            global.socket = None;
            Ok(())
        }
        (false, _) => Ok(()),
    }
}

/// Whether JSON is wanted, told without understanding the rest of the arguments.
#[must_use]
pub(crate) fn wants_json(args: &[OsString]) -> bool {
    let flag = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let on = |value: OsString| {
        let value = value.to_string_lossy().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "f" | "false" | "n" | "no" | "off")
    };
    flag || std::env::var_os("DOSCTL_JSON").is_some_and(on)
}

fn stop(error: &clap::Error, args: &[OsString]) -> Stop {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Print(text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Stop::Nothing(text)
        }
        _ => Stop::Wrong(wrong(error, &text, args)),
    }
}

/// Puts clap's words into ours: its first paragraph, what it suggests, and the help that fits.
fn wrong(error: &clap::Error, text: &str, args: &[OsString]) -> WireError {
    let first = text.split("\n\n").next().unwrap_or(text);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let lines: Vec<&str> = first.lines().map(str::trim).collect();
    let mut message = printable(&lines.join(" ")).into_owned();
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue] {
        let near = match error.get(kind) {
            Some(ContextValue::String(near)) => near.clone(),
            Some(ContextValue::Strings(all)) if !all.is_empty() => all.join("' or '"),
            _ => continue,
        };
        message.push_str(&format!("; did you mean '{near}'?"));
    }
    let command = Cli::command();
    let verb = args.iter().skip(1).find_map(|arg| command.find_subcommand(arg));
    let hint = match verb {
        Some(verb) => format!("dosctl {} --help", verb.get_name()),
        None => "dosctl --help".into(),
    };
    WireError::new(code_of(error), message).hint(hint)
}

/// A bad name or a text too long is `invalid` wherever it shows up; all else about arguments is `usage`.
fn code_of(error: &clap::Error) -> Code {
    let invalid = error.source().is_some_and(|source| {
        source.is::<NameError>()
            || source.is::<PeerRefError>()
            || source.is::<ImageArgError>()
            || source.is::<IdError>()
            || source.is::<TextTooLong>()
            || source.is::<verbs::trust::WhomError>()
    });
    if invalid { Code::Invalid } else { Code::Usage }
}

#[cfg(test)]
mod tests;
