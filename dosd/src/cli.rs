//! The command line of dosd.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::FileConfig;

/// The directory server of dos: knows peers, keeps previews, counts views; never sees an original.
#[derive(Debug, Parser)]
#[command(name = "dosd", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. All but `serve` talk to the running server over a socket in its data directory.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGINT or SIGTERM.
    Serve(Serve),
    /// Print the join link that peers register with.
    Link(Where),
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address and port that peers connect to [default: [::]:5001]
    #[arg(long, value_name = "ADDR", env = "DOSD_LISTEN")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented on the type; a text here would become help of every option")]
    pub place: Where,
    /// What the join link tells peers to connect to [default: the address of this machine]
    #[arg(long, value_name = "HOST:PORT", env = "DOSD_ADVERTISE")]
    pub advertise: Option<String>,
    /// A TOML file with these options as keys; a flag or an environment variable beats it
    #[arg(long, value_name = "FILE", env = "DOSD_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or per module [default: info]
    #[arg(long, value_name = "LEVEL", env = "DOSD_LOG")]
    pub log: Option<String>,
}

/// Which server.
#[derive(Debug, Args)]
pub struct Where {
    /// The server's data directory [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    #[arg(long, value_name = "DIR", env = "DOSD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Serve {
    /// The options as the file would say them, and the file.
    #[must_use]
    pub fn into_parts(self) -> (FileConfig, Option<PathBuf>) {
        let said = FileConfig {
            listen: self.listen,
            data_dir: self.place.data_dir,
            advertise: self.advertise,
            log: self.log,
        };
        (said, self.config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
