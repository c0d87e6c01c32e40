//! The command line of `peerd`. Each option has an environment twin and a key in the configuration file.

use std::{net::SocketAddr, num::NonZeroU16, path::PathBuf};

use clap::{CommandFactory as _, Parser};
use dos_daemon::log::LogFormat;
use dos_protocol::model::Address;

/// The daemon of one client: keeps its images, its rights and its session to the directory.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "peerd", version, about, max_term_width = 100)]
pub struct Arguments {
    /// Which of this user's daemons this is; decides about the default directories.
    #[arg(long, env = "PEERD_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// Where everything is kept [default: $XDG_STATE_HOME/dos/peers/PROFILE].
    #[arg(long, env = "PEERD_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The socket for dosctl [default: $XDG_RUNTIME_DIR/dos/PROFILE/control.sock].
    #[arg(long, env = "PEERD_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where other peers connect.
    #[arg(
        long,
        env = "PEERD_LISTEN",
        value_name = "ADDR",
        help = "Where other peers connect [default: [::]:0]"
    )]
    pub listen: Option<SocketAddr>,
    /// An address at which other peers reach this daemon, besides those of this host; may be given several times.
    #[arg(long, env = "PEERD_ADVERTISE", value_name = "ADDR", value_delimiter = ',')]
    pub advertise: Vec<Address>,
    /// Whether other peers can connect to this daemon; if not, they come through the directory at once [default: true].
    #[arg(long, env = "PEERD_REACHABLE", value_name = "BOOL")]
    pub reachable: Option<bool>,
    /// Whether sealed copies are fetched by themselves when a right to them arrives [default: true].
    #[arg(long, env = "PEERD_AUTO_FETCH", value_name = "BOOL")]
    pub auto_fetch: Option<bool>,
    /// How many bytes the sealed copies of others may take on the disk [default: 10737418240].
    #[arg(long, env = "PEERD_CACHE_BYTES_MAX", value_name = "BYTES")]
    pub cache_bytes_max: Option<u64>,
    /// How many viewers are served at once; more wait a little, then come back later [default: 16].
    #[arg(long, env = "PEERD_MAX_UPLOADS", value_name = "N")]
    pub max_uploads: Option<NonZeroU16>,
    /// How many sealed copies are fetched at once; more wait [default: 16].
    #[arg(long, env = "PEERD_MAX_DOWNLOADS", value_name = "N")]
    pub max_downloads: Option<NonZeroU16>,
    /// How many bytes a second all uploads together may take, at least 16384 [default: no bound].
    #[arg(long, env = "PEERD_UPLOAD_RATE", value_name = "BYTES")]
    pub upload_rate: Option<u64>,
    /// How many bytes a second all downloads together may take, at least 16384 [default: no bound].
    #[arg(long, env = "PEERD_DOWNLOAD_RATE", value_name = "BYTES")]
    pub download_rate: Option<u64>,
    /// What is logged: a level (error, warn, info, debug, trace) or a filter of tracing [default: info].
    #[arg(long, env = "PEERD_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged [default: text].
    #[arg(long, env = "PEERD_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Where metrics and health are served over HTTP [default: nowhere].
    #[arg(long, env = "PEERD_METRICS", value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// A TOML file with any of these settings, under the same names with '_' for '-'.
    #[arg(long, env = "PEERD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only look whether flags, environment and file make sense; open and change nothing.
    #[arg(long)]
    pub check_config: bool,
}

/// The keys of the configuration file: the options, but those that are about the file itself.
pub(crate) fn known_keys() -> Vec<String> {
    let options = Arguments::command();
    let keys = options.get_arguments().filter_map(|option| option.get_long());
    keys.filter(|key| !matches!(*key, "config" | "check-config")).map(|key| key.replace('-', "_")).collect()
}
