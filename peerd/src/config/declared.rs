//! Where the settings are declared: option, environment variable, key, help, default and check of each.

use std::{
    net::{Ipv6Addr, SocketAddr, SocketAddrV6},
    num::NonZeroU16,
    path::PathBuf,
};

use dos_daemon::{log::LogFormat, settings::SettingError};
use dos_protocol::{
    limits::ADDRESSES_MAX,
    model::Address,
    paths::{DEFAULT_PROFILE, is_profile},
};

/// What the sealed copies of others may take on the disk if nothing is given: 10 GiB.
const CACHE_BYTES_MAX_DEFAULT: u64 = 10 << 30;

/// Transfers at once, if nothing is given: more on one line only make each other slow.
const TRANSFERS_MAX_DEFAULT: NonZeroU16 = NonZeroU16::MIN.saturating_add(15);

/// The lowest rate that can be set, in bytes per second: with less, other peers would take us for gone.
const RATE_MIN: u64 = 16 << 10;

/// The default of `--listen`: every address, IPv6 and IPv4, at a free port.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0));

dos_daemon::settings! {
    /// The settings as they are given, on the command line (with the environment) or in the file.
    pub struct Given;
    /// The settings in force, key by key.
    pub struct Values;

    /// Which of this user's daemons this is; decides about the default directories.
    profile: String = DEFAULT_PROFILE, check profile, [env = "PEERD_PROFILE", value_name = "NAME"];
    /// Where everything is kept [default: $XDG_STATE_HOME/dos/peers/PROFILE].
    state_dir: PathBuf, [env = "PEERD_STATE_DIR", value_name = "DIR"];
    /// The socket for dosctl [default: $XDG_RUNTIME_DIR/dos/PROFILE/control.sock].
    socket: PathBuf, [env = "PEERD_SOCKET", value_name = "PATH"];
    /// Where other peers connect.
    listen: SocketAddr = DEFAULT_LISTEN, [
        env = "PEERD_LISTEN",
        value_name = "ADDR",
        help = "Where other peers connect [default: [::]:0]"
    ];
    /// An address at which other peers reach this daemon, besides those of this host; may be given several times.
    advertise: Vec<Address>, check advertise,
        [env = "PEERD_ADVERTISE", value_name = "ADDR", value_delimiter = ','];
    /// Whether other peers can connect to this daemon; if not, they come through the directory at once [default: true].
    reachable: bool = true, [env = "PEERD_REACHABLE", value_name = "BOOL"];
    /// Whether sealed copies are fetched by themselves when a right to them arrives [default: true].
    auto_fetch: bool = true, [env = "PEERD_AUTO_FETCH", value_name = "BOOL"];
    /// How many bytes the sealed copies of others may take on the disk [default: 10737418240].
    cache_bytes_max: u64 = CACHE_BYTES_MAX_DEFAULT, [env = "PEERD_CACHE_BYTES_MAX", value_name = "BYTES"];
    /// How many viewers are served at once; more wait a little, then come back later [default: 16].
    max_uploads: NonZeroU16 = TRANSFERS_MAX_DEFAULT, [env = "PEERD_MAX_UPLOADS", value_name = "N"];
    /// How many sealed copies are fetched at once; more wait [default: 16].
    max_downloads: NonZeroU16 = TRANSFERS_MAX_DEFAULT, [env = "PEERD_MAX_DOWNLOADS", value_name = "N"];
    /// How many bytes a second all uploads together may take, at least 16384 [default: no bound].
    upload_rate: u64, check rate, [env = "PEERD_UPLOAD_RATE", value_name = "BYTES"];
    /// How many bytes a second all downloads together may take, at least 16384 [default: no bound].
    download_rate: u64, check rate, [env = "PEERD_DOWNLOAD_RATE", value_name = "BYTES"];
    /// What is logged: a level (error, warn, info, debug, trace) or a filter of tracing [default: info].
    log: String = "info", [env = "PEERD_LOG", value_name = "FILTER"];
    /// How it is logged [default: text].
    log_format: LogFormat = LogFormat::Text, [env = "PEERD_LOG_FORMAT", value_name = "FORMAT"];
    /// Where metrics and health are served over HTTP [default: nowhere].
    metrics: SocketAddr, [env = "PEERD_METRICS", value_name = "ADDR"];
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError(why())) }
}

fn profile(key: &str, name: &str) -> Result<(), SettingError> {
    let rule = "is named with 1 to 32 of a-z A-Z 0-9 . _ -, not beginning with a dot or a dash";
    require(is_profile(name), || format!("a {key} {rule}"))
}

/// Not more than the directory takes.
fn advertise(_: &str, addresses: &[Address]) -> Result<(), SettingError> {
    let why = || format!("at most {ADDRESSES_MAX} addresses can be advertised");
    require(addresses.len() <= ADDRESSES_MAX, why)
}

fn rate(key: &str, bytes_per_second: &u64) -> Result<(), SettingError> {
    require(*bytes_per_second >= RATE_MIN, || format!("{key} is at least {RATE_MIN} bytes per second"))
}
