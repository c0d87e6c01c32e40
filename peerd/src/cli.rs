//! The command line of `peerd`. Each option has an environment twin and a key in the configuration file.

use std::path::PathBuf;

use clap::Parser;

use crate::config::Given;

/// The daemon of one client: keeps its images, its rights and its session to the directory.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "peerd", version, about, max_term_width = 100)]
#[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
pub struct Arguments {
    #[command(flatten)]
    pub given: Given,
    /// A TOML file with any of these settings, under the same names with '_' for '-'.
    #[arg(long, env = "PEERD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only look whether flags, environment and file make sense; open and change nothing.
    #[arg(long)]
    pub check_config: bool,
}
