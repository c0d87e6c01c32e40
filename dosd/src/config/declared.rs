//! Where the settings are declared: option, environment variable, key, help, default and check of each.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use dos_daemon::{
    log::LogFormat,
    settings::{SettingError, option_of},
};
use dos_protocol::{
    limits::{
        BLOCK_DURATION, BLOCK_DURATION_MAX, BROADCASTS_PER_MINUTE, HANDSHAKES_PER_MINUTE,
        IMAGES_PER_PEER_MAX, INBOX_ROWS_MAX, INBOX_ROWS_PER_SENDER, MESSAGES_PER_MINUTE,
        PREVIEW_BYTES_PER_PEER, REGISTRATIONS_PER_MINUTE, RELAY_BYTES_PER_SECOND, RELAY_BYTES_PER_SECOND_MIN,
        RELAY_BYTES_PER_SECOND_PER_PEER, RELAY_CALLS, RELAY_CALLS_MAX, RELAY_CALLS_PER_PEER, RELAY_IDLE,
        REQUESTS_PER_SECOND, SESSIONS_MAX, SESSIONS_PER_ADDRESS,
    },
    parse_duration,
};
use serde::{Deserialize, Deserializer, de};

/// The default of `--listen`: every address, IPv6 and IPv4.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 5001);

/// Between a sign-in and the first request lies a moment.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Shorter lock-outs would hinder no guessing.
const BLOCK_DURATION_MIN: Duration = Duration::from_secs(1);

/// A call needs a moment.
const RELAY_IDLE_MIN: Duration = Duration::from_secs(1);

/// Whether the server does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It does
    On,
    /// It does not
    Off,
}

/// Who may register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Whoever has the join link
    Open,
    /// Whoever has an invite (`dosd link` and `dosd invite create` make them)
    #[default]
    Invite,
    /// Nobody; who is registered goes on
    Closed,
}

dos_daemon::settings! {
    /// The settings as they are given, on the command line (with the environment) or in the file.
    pub struct FileConfig;
    /// The settings in force, key by key.
    pub struct Values;

    /// The address and port that peers connect to.
    listen: SocketAddr = DEFAULT_LISTEN, [
        value_name = "ADDR",
        env = "DOSD_LISTEN",
        help = "The address and port that peers connect to [default: [::]:5001]"
    ];
    /// The server's data directory [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    data_dir: PathBuf, [value_name = "DIR", env = "DOSD_DATA_DIR"];
    /// What the join link tells peers to connect to [default: the address of this machine]
    advertise: String, [value_name = "HOST:PORT", env = "DOSD_ADVERTISE"];
    /// Who may register [default: invite]
    registration: Registration = Registration::Invite, [value_name = "WHO", env = "DOSD_REGISTRATION"];
    /// Registrations that one address may attempt in a minute, and at once [default: 60]
    registrations_per_minute: u32 = REGISTRATIONS_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_REGISTRATIONS_PER_MINUTE"];
    /// Whether peers may broadcast to everybody who is online [default: on]
    broadcast: Switch = Switch::On, [value_name = "WHETHER", env = "DOSD_BROADCAST"];
    /// Broadcasts that one peer may make in a minute, and at once [default: 6]
    broadcasts_per_minute: u32 = BROADCASTS_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_BROADCASTS_PER_MINUTE"];
    /// Sign out peers that asked nothing for so long [default: never]
    idle_timeout: Duration, check idle_timeout,
        [value_name = "DUR", env = "DOSD_IDLE_TIMEOUT", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// How long a name's password login is locked after three wrong passwords, at first; up to an hour [default: 60s]
    block_duration: Duration = BLOCK_DURATION, check block_duration,
        [value_name = "DUR", env = "DOSD_BLOCK_DURATION", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// Sessions in all [default: 100000]
    sessions_max: u32 = SESSIONS_MAX, check positive,
        [value_name = "N", env = "DOSD_SESSIONS_MAX", help_heading = "Limits"];
    /// Sessions from one address (IPv6: one /64) [default: 20000]
    sessions_per_address: u32 = SESSIONS_PER_ADDRESS, check positive,
        [value_name = "N", env = "DOSD_SESSIONS_PER_ADDRESS", help_heading = "Limits"];
    /// TLS handshakes from one address in a minute, and at once [default: 12000]
    handshakes_per_minute: u32 = HANDSHAKES_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_HANDSHAKES_PER_MINUTE", help_heading = "Limits"];
    /// Requests of one peer in a second, with ten seconds' worth at once [default: 500]
    requests_per_second: u32 = REQUESTS_PER_SECOND, check positive,
        [value_name = "N", env = "DOSD_REQUESTS_PER_SECOND", help_heading = "Limits"];
    /// Messages of one peer in a minute, and at once [default: 600]
    messages_per_minute: u32 = MESSAGES_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_MESSAGES_PER_MINUTE", help_heading = "Limits"];
    /// Images that one peer may publish [default: 100000]
    images_per_peer: u32 = IMAGES_PER_PEER_MAX, check positive,
        [value_name = "N", env = "DOSD_IMAGES_PER_PEER", help_heading = "Limits"];
    /// Bytes of all previews of one peer [default: 1073741824]
    preview_bytes_per_peer: u64 = PREVIEW_BYTES_PER_PEER, check positive,
        [value_name = "BYTES", env = "DOSD_PREVIEW_BYTES_PER_PEER", help_heading = "Limits"];
    /// Messages and requests of one peer that wait for another one [default: 1000]
    inbox_rows_per_sender: u32 = INBOX_ROWS_PER_SENDER, check positive,
        [value_name = "N", env = "DOSD_INBOX_ROWS_PER_SENDER", help_heading = "Limits"];
    /// Updates that wait for one peer, before it gets no more messages, requests and rights [default: 100000]
    inbox_rows_max: u32 = INBOX_ROWS_MAX, check positive,
        [value_name = "N", env = "DOSD_INBOX_ROWS_MAX", help_heading = "Limits"];
    /// Whether peers that cannot reach each other may connect through this server [default: on]
    relay: Switch = Switch::On, [value_name = "ON|OFF", env = "DOSD_RELAY"];
    /// Calls relayed together [default: 256]
    relay_calls: u32 = RELAY_CALLS, check relay_calls, [value_name = "N", env = "DOSD_RELAY_CALLS"];
    /// Of these, calls that one peer makes or takes [default: 16]
    relay_calls_per_peer: u32 = RELAY_CALLS_PER_PEER, check relay_calls,
        [value_name = "N", env = "DOSD_RELAY_CALLS_PER_PEER"];
    /// Bytes relayed in a second [default: 1000000000]
    relay_bytes_per_second: u64 = RELAY_BYTES_PER_SECOND, check relay_bytes,
        [value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND"];
    /// Of these, bytes of the calls that one peer makes or takes [default: 500000000]
    relay_bytes_per_second_per_peer: u64 = RELAY_BYTES_PER_SECOND_PER_PEER, check relay_bytes,
        [value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND_PER_PEER"];
    /// How long nothing may move on a relayed call before it is ended [default: 60s]
    relay_idle: Duration = RELAY_IDLE, check relay_idle,
        [value_name = "DUR", env = "DOSD_RELAY_IDLE", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// What to log: error, warn, info, debug, trace, or per module [default: info]
    log: String = "info", [value_name = "LEVEL", env = "DOSD_LOG"];
    /// How to log [default: text]
    log_format: LogFormat = LogFormat::Text, [value_name = "FORMAT", env = "DOSD_LOG_FORMAT"];
    /// Serve metrics and health over HTTP at this address [default: nowhere]
    metrics: SocketAddr, [value_name = "ADDR", env = "DOSD_METRICS"];
}

/// A duration in the file, written as on the command line.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(de::Error::custom)
}

fn require(holds: bool, key: &str, needs: &str) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError(format!("{} {needs}", option_of(key)))) }
}

fn positive<N: Copy + Into<u64>>(key: &str, number: &N) -> Result<(), SettingError> {
    require((*number).into() > 0, key, "needs a number of at least 1")
}

/// A peer could not even sign in and ask.
fn idle_timeout(key: &str, idle: &Duration) -> Result<(), SettingError> {
    require(*idle >= IDLE_TIMEOUT_MIN, key, "needs a time of at least 1s")
}

/// A shorter lock-out protects nobody, a longer one keeps owners out.
fn block_duration(key: &str, block: &Duration) -> Result<(), SettingError> {
    require((BLOCK_DURATION_MIN..=BLOCK_DURATION_MAX).contains(block), key, "is from 1s to 1h")
}

/// No calls at all is `--relay off`.
fn relay_calls(key: &str, calls: &u32) -> Result<(), SettingError> {
    let needs = format!("needs a number from 1 to {RELAY_CALLS_MAX}");
    require((1..=RELAY_CALLS_MAX).contains(calls), key, &needs)
}

/// Slower is of no use.
fn relay_bytes(key: &str, bytes: &u64) -> Result<(), SettingError> {
    let needs = format!("needs a number of at least {RELAY_BYTES_PER_SECOND_MIN}");
    require(*bytes >= RELAY_BYTES_PER_SECOND_MIN, key, &needs)
}

fn relay_idle(key: &str, idle: &Duration) -> Result<(), SettingError> {
    require(*idle >= RELAY_IDLE_MIN, key, "needs at least 1s")
}
