//! The command line of `dosd store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::AdminArgs;

/// `store`.
#[derive(Debug, Args)]
pub struct StoreOf {
    /// What to do with the store.
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// The commands about the store on database servers. None talks to a running server.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy the store from the data directory of a stopped server to an empty database
    ///
    /// The file is verified before, the copy afterwards, and the file stays. Start the server with --store then: one that
    /// is started without it would go on with the file. With --back it goes from the database to a new file.
    Move(StoreMove),
    /// Verify the store on database servers; exit code 0 only if it is sound
    Check(StoreAsk),
    /// Let peers bring back what they know, after the database was restored from a backup; no server may be running
    ///
    /// Without it a server would give numbers again that it gave after the backup was made.
    Leap(StoreAsk),
    /// Make the tables on database servers, or bring them up to date; a server does so when it starts, too
    Migrate(StoreAsk),
}

/// The database servers, and what proves the two sides.
#[derive(Debug, Args)]
pub struct StorePlace {
    /// The database, as postgres://USER@HOST,HOST/DATABASE
    #[arg(long, value_name = "URL", env = "DOSD_STORE", visible_alias = "to")]
    pub store: String,
    /// Trust database servers whose certificates are signed by those in this file (PEM)
    #[arg(long, value_name = "FILE", env = "DOSD_STORE_CA")]
    pub store_ca: Option<PathBuf>,
    /// Read the password for the database from this file, which must be private
    #[arg(long, value_name = "FILE", env = "DOSD_STORE_PASSWORD_FILE")]
    pub store_password_file: Option<PathBuf>,
}

/// Options of `store move`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct StoreMove {
    #[command(flatten)]
    pub to: StorePlace,
    /// Copy the other way: from the database, which no server may be using, to a data directory without a store
    #[arg(long)]
    pub back: bool,
    #[command(flatten)]
    pub ask: AdminArgs,
}

/// Options of `store check`, `store leap` and `store migrate`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct StoreAsk {
    #[command(flatten)]
    pub place: StorePlace,
    /// Print one JSON document instead of text
    #[arg(long, env = "DOSD_JSON", value_parser = clap::builder::FalseyValueParser::new())]
    pub json: bool,
}
