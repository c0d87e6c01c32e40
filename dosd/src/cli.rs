//! The command line of dosd.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use dos_protocol::{
    limits::{INVITE_USES_MAX, PINGS_MAX},
    model::PeerRef,
    parse_duration,
};

use crate::config::FileConfig;

/// The directory server of dos: knows peers, keeps previews, counts views; never sees an original.
#[derive(Debug, Parser)]
#[command(name = "dosd", version, about, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. All but `serve` talk to the running server over a socket in its data directory.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGINT or SIGTERM
    Serve(Box<Serve>),
    /// Print the join link; where newcomers need an invite, with a fresh one for one registration within 7 days
    Link(Where),
    /// Make, list and revoke invites
    Invite(Invite),
    /// List the registered peers
    Peers(Peers),
    /// Measure the round trip to online peers
    Ping(Ping),
    /// End sessions; the peers stay registered and may sign in again
    Kick(Kick),
    /// Tell everybody who is online something
    Announce(Announce),
    /// End the server, and tell the peers; another shutdown replaces a planned one
    Shutdown(Shutdown),
    /// Copy the database to a new file, written by the server while it runs
    ///
    /// The copy is the database alone. The server's key, server.key in the data directory, is not in it: keep a copy of
    /// that too. Without it a restored directory has another key, and no join link or peer knows it.
    Backup(Backup),
    /// Verify the store; the exit code is 0 only if it is sound. Works with and without a running server
    Check(AdminArgs),
    /// Make the database of a new data directory from a backup. No server may run on it
    ///
    /// Views that were spent, and rights that were changed, after the backup was made are not in it: they are as they were
    /// then. Put server.key, which is not part of a backup, into the data directory too.
    Restore(Restore),
    /// Forget expired and used-up invites, and, if asked, peers that were not seen for long and old receipts
    Prune(Prune),
    /// Show how the server does: sessions, peers, images, rights, views, the store's work
    Stats(AdminArgs),
}

/// Options of `serve`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Serve {
    #[command(flatten)]
    pub said: FileConfig,
    /// A TOML file with these options as keys; a flag or an environment variable beats it
    #[arg(long, value_name = "FILE", env = "DOSD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Only look whether flags, environment and file make sense; open and change nothing
    #[arg(long)]
    pub check_config: bool,
}

/// Which server.
#[derive(Debug, Args)]
pub struct Where {
    /// The server's data directory [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    #[arg(long, value_name = "DIR", env = "DOSD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Which server, and in which form its answer is shown.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct AdminArgs {
    #[command(flatten)]
    pub place: Where,
    /// Print one JSON document instead of text
    #[arg(long, env = "DOSD_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub json: bool,
}

/// Whom a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// An ID, a name, or IP:PORT
    pub peer: Option<PeerRef>,
    /// Everybody who is online
    #[arg(long)]
    pub all: bool,
}

/// `invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// What to do with invites.
    #[command(subcommand)]
    pub command: InviteCommand,
}

/// The commands about invites.
#[derive(Debug, Subcommand)]
pub enum InviteCommand {
    /// Make an invite and print its code, which is shown only now
    Create(InviteCreate),
    /// List the invites by the first characters of their codes
    List(AdminArgs),
    /// Take an invite back; who has used it stays registered
    Revoke(InviteRevoke),
}

/// Options of `invite create`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct InviteCreate {
    /// For so many registrations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_USES_MAX)))]
    pub uses: u32,
    /// For so long [default: 7d]
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub expires: Option<Duration>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `invite revoke`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct InviteRevoke {
    /// The whole code, or its beginning as the list shows it
    pub code: String,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `peers`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Peers {
    /// Only those that are online
    #[arg(long)]
    pub online: bool,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `ping`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Ping {
    #[command(flatten)]
    pub target: Target,
    /// Pings to each peer, one after the other
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(PINGS_MAX)))]
    pub count: u32,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `kick`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Kick {
    #[command(flatten)]
    pub target: Target,
    /// A word to the peers
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `announce`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Announce {
    /// One line of text
    pub text: String,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `shutdown`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Shutdown {
    /// In so long; without it at once, and the command returns when the server has ended
    #[arg(long = "in", value_name = "DUR", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// A word to the peers
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `backup`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Backup {
    /// Where to; the server must be able to write there, and nothing may be there yet
    pub file: PathBuf,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `restore`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Restore {
    /// What `dosd backup` has written
    pub file: PathBuf,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `prune`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Prune {
    /// Peers that were not online for so long, with their names, images and rights
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub peers_unseen: Option<Duration>,
    /// Receipts of views that are older, at least 30d; the views stay counted
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub receipts_older: Option<Duration>,
    /// Only tell what would be forgotten
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Whether JSON is wanted, told without understanding the rest of the arguments.
#[must_use]
pub fn wants_json(args: &[OsString]) -> bool {
    let flag = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let on = |value: OsString| {
        let value = value.to_string_lossy().to_lowercase();
        !matches!(value.as_str(), "" | "0" | "f" | "false" | "n" | "no" | "off")
    };
    flag || std::env::var_os("DOSD_JSON").is_some_and(on)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
