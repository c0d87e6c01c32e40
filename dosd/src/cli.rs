//! The command line of dosd.

mod store;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use dos_protocol::{
    ImageArg, PeerName,
    limits::{INVITE_USES_MAX, PINGS_MAX},
    model::PeerRef,
    parse_duration,
};

pub use store::{StoreAsk, StoreCommand, StoreMove, StoreOf, StorePlace};

use crate::config::FileConfig;

/// The directory of dos: knows peers, keeps previews, counts views; never sees an original.
#[derive(Debug, Parser)]
#[command(name = "dosd", version, about, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  dosd serve &
  dosd link
  dosd link --uses 20 --expires 2d
  dosd peers --online

Give the commands the --data-dir of the server. They print JSON with --json.")]
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
    /// Print the join link, with a new invite for one registration within 7 days if invites are required, or as given
    Link(Link),
    /// Create, list and revoke invites
    Invite(Invite),
    /// List the registered peers
    Peers(Peers),
    /// Measure the round trip to online peers
    Ping(Ping),
    /// End sessions; the peers stay registered and may sign in again
    Kick(Kick),
    /// Show everything that is known of a peer
    Show(Show),
    /// Delete a peer for good: its ID, name, images, grants, requests and messages
    ///
    /// The name is free afterwards: a person who has lost the key, and had no password, can register under it again, as
    /// another peer with another key.
    Remove(Remove),
    /// Let the key of a banned peer register again
    Unban(Unban),
    /// List the banned peers
    Bans(AdminArgs),
    /// Give a peer another name
    ///
    /// The peer is notified, and its session begins anew. Grants, images and messages stay: they belong to its ID.
    Rename(Rename),
    /// Remove an image with every grant for it; its owner is notified
    Takedown(Takedown),
    /// List what operators have done, the newest first
    Audit(Audit),
    /// Send a notice to every peer that is online
    Announce(Announce),
    /// Notify the peers and stop the server; another shutdown replaces a planned one
    Shutdown(Shutdown),
    /// Back up the database to a new file, while the server runs
    ///
    /// The backup is the database alone. Keep a copy of the server's key (server.key in the data directory) too: without it a
    /// restored directory has another key, which no join link and no peer knows.
    Backup(Backup),
    /// Verify the store, with or without a running server; exit code 0 only if it is sound
    Check(AdminArgs),
    /// Restore a backup into a new data directory, on which no server runs
    ///
    /// Views spent and grants changed after the backup are lost. Put server.key, which is not part of a backup, into the data
    /// directory too.
    Restore(Restore),
    /// Delete expired and used-up invites and, with options, unseen peers and old receipts
    Prune(Prune),
    /// Show the server's figures: sessions, peers, images, grants, views, the store's work
    Stats(AdminArgs),
    /// List the servers of a directory that keeps its store on database servers
    Nodes(AdminArgs),
    /// Delete what is kept for a peer's password, which then opens nothing any more
    Password(Password),
    /// Move the store to database servers, verify it there, bring its tables up to date
    Store(StoreOf),
}

/// Options of `serve`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Serve {
    #[command(flatten)]
    pub said: FileConfig,
    /// Read settings from this TOML file, with '_' for '-' in their names; flags and environment beat it
    #[arg(long, value_name = "FILE", env = "DOSD_CONFIG")]
    pub config: Option<PathBuf>,
    /// Check flags, environment and file, and exit; open and change nothing
    #[arg(long)]
    pub check_config: bool,
}

/// Which server.
#[derive(Debug, Args)]
pub struct Where {
    /// Data directory of the server [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    #[arg(long, value_name = "DIR", env = "DOSD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// The server, and the form of its answer.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct AdminArgs {
    #[command(flatten)]
    pub place: Where,
    /// Print one JSON document instead of text
    #[arg(long, env = "DOSD_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub json: bool,
}

/// The peers that a command is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The peer, by ID, name or IP:PORT
    pub peer: Option<PeerRef>,
    /// All peers that are online
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
    /// Create an invite and print its code, which is shown only once, and on standard error the join link with it
    Create(InviteCreate),
    /// List the invites by the first characters of their codes
    List(AdminArgs),
    /// Revoke an invite; peers that have used it stay registered
    Revoke(InviteRevoke),
}

/// Options of `link`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Link {
    /// Number of registrations that the invite in the link is good for [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_USES_MAX)))]
    pub uses: Option<u32>,
    /// Let the invite expire after this time [default: 7d]
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub expires: Option<Duration>,
    #[command(flatten)]
    pub place: Where,
}

/// Options of `invite create`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct InviteCreate {
    /// Number of registrations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_USES_MAX)))]
    pub uses: u32,
    /// Expire after this time [default: 7d]
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub expires: Option<Duration>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `invite revoke`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct InviteRevoke {
    /// The code, or its first 4 characters as in the list
    pub code: String,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `peers`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Peers {
    /// Only peers that are online
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
    /// Number of pings to each peer
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
    /// Tell the peers why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `remove`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Remove {
    /// The peer, by ID, name or IP:PORT
    pub peer: PeerRef,
    /// Keep its key from registering again
    #[arg(long)]
    pub ban: bool,
    /// Tell the peer why it is banned
    #[arg(long, value_name = "TEXT", requires = "ban")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `show`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Show {
    /// The peer, by ID, name or IP:PORT
    pub peer: PeerRef,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `unban`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Unban {
    /// The ID or the name that the peer had
    pub peer: PeerRef,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `rename`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Rename {
    /// The peer, by ID, name or IP:PORT
    pub peer: PeerRef,
    /// Its new name
    #[arg(value_name = "NEW")]
    pub name: PeerName,
    /// Tell the peer why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `takedown`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Takedown {
    /// The image, as OWNER/NAME
    pub image: ImageArg,
    /// Tell its owner why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `audit`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Audit {
    /// Number of entries
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `announce`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Announce {
    /// Text of the notice, in one line
    pub text: String,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `shutdown`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Shutdown {
    /// Shut down after this time [default: at once, and return when the server has stopped]
    #[arg(long = "in", value_name = "DUR", value_parser = parse_duration)]
    pub delay: Option<Duration>,
    /// Tell the peers why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `backup`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Backup {
    /// New file, which the server must be able to write
    pub file: PathBuf,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `restore`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Restore {
    /// File written by `dosd backup`
    pub file: PathBuf,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `prune`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Prune {
    /// Delete peers that were not online for DUR, with their names, images and grants
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub peers_unseen: Option<Duration>,
    /// Delete receipts of views older than DUR, at least 30d; the views stay counted
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub receipts_older: Option<Duration>,
    /// Only show what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `password`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Password {
    /// Delete that of this peer: its ID, its name or its address
    #[arg(long, value_name = "PEER", required = true)]
    pub clear: PeerRef,
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
