//! The command line of `peerd`. Each option has an environment twin and a key in the configuration file.

use std::path::PathBuf;

use clap::Parser;

use crate::config::Given;

/// The daemon of one client: keep its images and grants, serve and fetch sealed copies, stay online.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "peerd", version, about, max_term_width = 100)]
#[command(after_help = "\
Examples:
  peerd
  peerd --profile alice --listen '[::]:5002'

Sign up at a directory with `dosctl register --server LINK`.")]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Arguments {
    #[command(flatten)]
    pub given: Given,
    /// Read settings from this TOML file, with '_' for '-' in their names; flags and environment beat it
    #[arg(long, env = "PEERD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check flags, environment and file, and exit; open and change nothing
    #[arg(long)]
    pub check_config: bool,
    /// Leave the terminal and its session: for `dosctl up`, which starts it in the background
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Scale the pictures on standard input for `dosctl`, and do nothing else
    #[arg(long, hide = true)]
    pub decode_pictures: bool,
}
