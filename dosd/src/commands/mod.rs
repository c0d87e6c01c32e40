//! The operator's commands, each in the file of its verb: arguments, one request to the running server, its replies shown.
//!
//! No asynchronous runtime and, but for `store` and for `check` and `restore` on the files of a stopped server, no store here: what a
//! command does is up to the server.

mod announce;
mod audit;
mod backup;
mod ban;
mod check;
mod check_config;
mod invite;
mod kick;
mod link;
mod nodes;
mod output;
mod password;
mod peers;
mod ping;
mod prune;
mod remove;
mod rename;
mod restore;
mod show;
mod shutdown;
mod stats;
mod store;
mod takedown;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory as _, FromArgMatches as _, error::ErrorKind};
use dos_host::variables::without_empty;
use dos_protocol::{
    Code, PeerId, PeerName, WireError,
    admin::{FromDosd, ToDosd, Whom},
};

use self::output::{Failure, Screen};
use crate::{
    admin::{Answers, AskError},
    cli::{Cli, Command, Serve, Target, Where, wants_json},
    config,
};

/// What the arguments ask for.
#[derive(Debug)]
pub enum Run {
    /// To serve, which is not done here.
    Serve(Box<Serve>),
    /// Something that has been done or has failed: the exit code.
    Ended(u8),
}

/// Runs the operator's command that `args` describe, program name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Run {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut screen = Screen::of_process(wants_json(&args));
    let matches = without_empty(Cli::command()).try_get_matches_from(&args);
    let result = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(Cli { command: Command::Serve(options) }) if !options.check_config => return Run::Serve(options),
        Ok(Cli { command }) => perform(command, &mut screen),
        Err(error) => wrong(&error, &mut screen),
    };
    match result.and_then(|()| screen.flush()) {
        // Whoever reads our output has seen enough of it: that is no failure.
        Ok(()) | Err(Failure::ClosedPipe) => Run::Ended(0),
        Err(Failure::Told(error)) => {
            screen.fail(&error);
            Run::Ended(error.code.exit_code())
        }
    }
}

fn perform(command: Command, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        // Serving has been taken out above.
        Command::Serve(options) => check_config::run(options, screen),
        Command::Link(place) => link::run(place, screen),
        Command::Invite(invite) => invite::run(invite.command, screen),
        Command::Peers(options) => peers::run(options, screen),
        Command::Ping(options) => ping::run(options, screen),
        Command::Kick(options) => kick::run(options, screen),
        Command::Remove(options) => remove::run(options, screen),
        Command::Show(options) => show::run(options, screen),
        Command::Unban(options) => ban::unban(options, screen),
        Command::Bans(ask) => ban::list(ask, screen),
        Command::Rename(options) => rename::run(options, screen),
        Command::Takedown(options) => takedown::run(options, screen),
        Command::Audit(options) => audit::run(options, screen),
        Command::Announce(options) => announce::run(options, screen),
        Command::Shutdown(options) => shutdown::run(options, screen),
        Command::Backup(options) => backup::run(options, screen),
        Command::Check(ask) => check::run(ask, screen),
        Command::Restore(options) => restore::run(options, screen),
        Command::Prune(options) => prune::run(options, screen),
        Command::Stats(ask) => stats::run(ask, screen),
        Command::Nodes(ask) => nodes::run(ask, screen),
        Command::Password(options) => password::run(options, screen),
        Command::Store(options) => store::run(options.command, screen),
    }
}

/// Help is no failure; what is wrong with arguments is told as clap tells it, or as JSON.
fn wrong(error: &clap::Error, screen: &mut Screen) -> Result<(), Failure> {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => screen.text(&text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            screen.note(&text);
            Err(WireError::new(Code::Usage, "there is no command").hint("dosd --help").into())
        }
        _ => {
            let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            let message = first.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(WireError::new(Code::Usage, message).hint("dosd --help").into())
        }
    }
}

/// How long a reply may take that needs no more than the server's attention.
const PATIENCE: Duration = Duration::from_secs(30);

fn data_dir(place: Where) -> Result<PathBuf, Failure> {
    config::data_dir(place.data_dir).map_err(|error| WireError::new(Code::Usage, error.to_string()).into())
}

/// Asks for one reply.
fn ask(place: Where, request: &ToDosd, patience: Option<Duration>) -> Result<FromDosd, Failure> {
    Ok(Answers::to(&data_dir(place)?, request, patience)?.next_reply()?)
}

/// Asks for a list, page by page; `take` shows a page or says that it is none.
fn ask_list(
    data_dir: &Path,
    request: &ToDosd,
    patience: Duration,
    mut take: impl FnMut(FromDosd) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut answers = Answers::to(data_dir, request, Some(patience))?;
    loop {
        match answers.next_reply()? {
            FromDosd::Done => return Ok(()),
            page => take(page)?,
        }
    }
}

/// The server said something else than this command expects.
fn unexpected() -> Failure {
    AskError::Unexpected.into()
}

fn whom(target: Target) -> Whom {
    match target.peer {
        Some(peer) => Whom::One(peer),
        None => Whom::All,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A name with its ID, or the ID alone.
fn named(id: PeerId, name: Option<&PeerName>) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

/// `1 peer`, `2 peers`.
fn count_of(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
