//! Where the settings are declared: option, environment variable, key, help, default and check of each.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use dos_daemon::{
    log::LogFormat,
    settings::{SettingError, option_of},
};
use dos_protocol::{
    Visibility,
    limits::{
        BLOCK_DURATION, BLOCK_DURATION_MAX, BROADCASTS_PER_MINUTE, DISK_RESERVE_BYTES, HANDSHAKES_PER_MINUTE,
        IMAGES_PER_PEER_MAX, INBOX_BYTES_MAX, INBOX_ROWS_MAX, INBOX_ROWS_PER_SENDER, MESSAGES_PER_MINUTE,
        PEER_INVITES_PER_DAY_MAX, PREVIEW_BYTES_PER_PEER, REGISTRATIONS_PER_MINUTE, RELAY_BYTES_PER_SECOND,
        RELAY_BYTES_PER_SECOND_MIN, RELAY_BYTES_PER_SECOND_PER_PEER, RELAY_CALLS, RELAY_CALLS_MAX,
        RELAY_CALLS_PER_PEER, RELAY_IDLE, REQUESTS_PER_SECOND, ROW_BYTES_PER_PEER, SENT_BYTES_PER_PEER,
        SESSIONS_MAX, SESSIONS_PER_ADDRESS, VIEWS_PER_MINUTE,
    },
    model::PreviewSize,
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

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Who may register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Peers with the join link
    Open,
    /// Peers with an invite (`dosd link` and `dosd invite create` make them)
    #[default]
    Invite,
    /// No new peers
    Closed,
}

dos_daemon::settings! {
    /// The settings as they are given, on the command line (with the environment) or in the file.
    pub struct FileConfig;
    /// The settings in force, key by key.
    pub struct Values;

    /// Listen for peers at this address and port.
    listen: SocketAddr = DEFAULT_LISTEN, [
        value_name = "ADDR",
        env = "DOSD_LISTEN",
        help = "Listen for peers at this address and port [default: [::]:5001]"
    ];
    /// Keep everything in this directory [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    data_dir: PathBuf, [value_name = "DIR", env = "DOSD_DATA_DIR"];
    /// Keep the store on PostgreSQL, at postgres://USER@HOST,HOST/DATABASE [default: a file in the data directory]
    store: String, [value_name = "URL", env = "DOSD_STORE"];
    /// Trust database servers whose certificates are signed by those in this file (PEM) [default: only servers on this machine, without TLS]
    store_ca: PathBuf, [value_name = "FILE", env = "DOSD_STORE_CA"];
    /// Read the password for the database from this file, which must be private [default: no password]
    store_password_file: PathBuf, [value_name = "FILE", env = "DOSD_STORE_PASSWORD_FILE"];
    /// Be one of several nodes of the directory: listen at this address, which the other nodes can reach [default: alone]
    cluster: SocketAddr, [value_name = "ADDR", env = "DOSD_CLUSTER"];
    /// Host and port in the join link [default: the address of this machine]
    advertise: String, [value_name = "HOST:PORT", env = "DOSD_ADVERTISE"];
    /// Announce the directory on the local network (DNS-SD) [default: on where the join link has an address of the local network]
    announce: Switch, [value_name = "ON|OFF", env = "DOSD_ANNOUNCE"];
    /// Who may register [default: invite]
    registration: Registration = Registration::Invite, [value_name = "WHO", env = "DOSD_REGISTRATION"];
    /// Registrations that one address may attempt per minute [default: 60]
    registrations_per_minute: u32 = REGISTRATIONS_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_REGISTRATIONS_PER_MINUTE"];
    /// Invites that one peer may make per day, each for one newcomer; 0 leaves them to the operator [default: 0]
    peer_invites: u32 = 0, check peer_invites, [value_name = "N", env = "DOSD_PEER_INVITES"];
    /// Allow peers to broadcast to all peers that are online [default: on]
    broadcast: Switch = Switch::On, [value_name = "WHETHER", env = "DOSD_BROADCAST"];
    /// Broadcasts that one peer may send per minute [default: 6]
    broadcasts_per_minute: u32 = BROADCASTS_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_BROADCASTS_PER_MINUTE"];
    /// Who sees an image whose owner does not say who may: listed (every peer) or private (holders of a grant) [default: listed]
    default_visibility: Visibility = Visibility::Listed,
        [value_name = "WHO", env = "DOSD_DEFAULT_VISIBILITY"] serde(default, deserialize_with = "visibility");
    /// Keep previews of up to N pixels on their longer edge: 256 or 512 [default: 256]
    preview_size: PreviewSize = PreviewSize::Usual,
        [value_name = "N", env = "DOSD_PREVIEW_SIZE"] serde(default, deserialize_with = "preview_size");
    /// Sign out peers that sent no request for DUR [default: never]
    idle_timeout: Duration, check idle_timeout,
        [value_name = "DUR", env = "DOSD_IDLE_TIMEOUT", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// Lock the password login of a name for DUR after three wrong passwords; each further lock-out lasts twice as long, up to an hour [default: 60s]
    block_duration: Duration = BLOCK_DURATION, check block_duration,
        [value_name = "DUR", env = "DOSD_BLOCK_DURATION", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// Sessions in all [default: 100000]
    sessions_max: u32 = SESSIONS_MAX, check positive,
        [value_name = "N", env = "DOSD_SESSIONS_MAX", help_heading = "Limits"];
    /// Sessions from one address (IPv6: one /64) [default: 20000]
    sessions_per_address: u32 = SESSIONS_PER_ADDRESS, check positive,
        [value_name = "N", env = "DOSD_SESSIONS_PER_ADDRESS", help_heading = "Limits"];
    /// TLS handshakes from one address per minute [default: 12000]
    handshakes_per_minute: u32 = HANDSHAKES_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_HANDSHAKES_PER_MINUTE", help_heading = "Limits"];
    /// Requests of one peer per second; ten times as many at once [default: 500]
    requests_per_second: u32 = REQUESTS_PER_SECOND, check positive,
        [value_name = "N", env = "DOSD_REQUESTS_PER_SECOND", help_heading = "Limits"];
    /// Messages of one peer per minute [default: 600]
    messages_per_minute: u32 = MESSAGES_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_MESSAGES_PER_MINUTE", help_heading = "Limits"];
    /// Views of one peer per minute [default: 600]
    views_per_minute: u32 = VIEWS_PER_MINUTE, check positive,
        [value_name = "N", env = "DOSD_VIEWS_PER_MINUTE", help_heading = "Limits"];
    /// Images that one peer may publish [default: 100000]
    images_per_peer: u32 = IMAGES_PER_PEER_MAX, check positive,
        [value_name = "N", env = "DOSD_IMAGES_PER_PEER", help_heading = "Limits"];
    /// Bytes of all previews of one peer [default: 268435456]
    preview_bytes_per_peer: u64 = PREVIEW_BYTES_PER_PEER, check positive,
        [value_name = "BYTES", env = "DOSD_PREVIEW_BYTES_PER_PEER", help_heading = "Limits"];
    /// Bytes of the images, grants and requests of one peer, without previews [default: 134217728]
    row_bytes_per_peer: u64 = ROW_BYTES_PER_PEER, check positive,
        [value_name = "BYTES", env = "DOSD_ROW_BYTES_PER_PEER", help_heading = "Limits"];
    /// Messages and requests of one peer that may wait for another one [default: 1000]
    inbox_rows_per_sender: u32 = INBOX_ROWS_PER_SENDER, check positive,
        [value_name = "N", env = "DOSD_INBOX_ROWS_PER_SENDER", help_heading = "Limits"];
    /// Updates that may wait for one peer before it gets no more messages, requests and grants [default: 100000]
    inbox_rows_max: u32 = INBOX_ROWS_MAX, check positive,
        [value_name = "N", env = "DOSD_INBOX_ROWS_MAX", help_heading = "Limits"];
    /// Bytes that may wait for one peer before it gets no more messages, requests and grants [default: 67108864]
    inbox_bytes_max: u64 = INBOX_BYTES_MAX, check positive,
        [value_name = "BYTES", env = "DOSD_INBOX_BYTES_MAX", help_heading = "Limits"];
    /// Bytes that one peer may have waiting for all others [default: 67108864]
    sent_bytes_per_peer: u64 = SENT_BYTES_PER_PEER, check positive,
        [value_name = "BYTES", env = "DOSD_SENT_BYTES_PER_PEER", help_heading = "Limits"];
    /// Add nothing to a database of this size [default: as large as the disk allows]
    database_bytes_max: u64, check positive,
        [value_name = "BYTES", env = "DOSD_DATABASE_BYTES_MAX", help_heading = "Limits"];
    /// Add nothing when less of the disk is free; of a small disk at most a sixteenth stays free [default: 1073741824]
    disk_reserve_bytes: u64 = DISK_RESERVE_BYTES,
        [value_name = "BYTES", env = "DOSD_DISK_RESERVE_BYTES", help_heading = "Limits"];
    /// Relay between peers that cannot reach each other [default: on]
    relay: Switch = Switch::On, [value_name = "ON|OFF", env = "DOSD_RELAY"];
    /// Calls relayed at the same time [default: 256]
    relay_calls: u32 = RELAY_CALLS, check relay_calls, [value_name = "N", env = "DOSD_RELAY_CALLS"];
    /// Calls that one peer makes or takes [default: 16]
    relay_calls_per_peer: u32 = RELAY_CALLS_PER_PEER, check relay_calls,
        [value_name = "N", env = "DOSD_RELAY_CALLS_PER_PEER"];
    /// Bytes relayed per second [default: 1000000000]
    relay_bytes_per_second: u64 = RELAY_BYTES_PER_SECOND, check relay_bytes,
        [value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND"];
    /// Bytes relayed per second for one peer [default: 500000000]
    relay_bytes_per_second_per_peer: u64 = RELAY_BYTES_PER_SECOND_PER_PEER, check relay_bytes,
        [value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND_PER_PEER"];
    /// End a relayed call after no bytes for DUR [default: 60s]
    relay_idle: Duration = RELAY_IDLE, check relay_idle,
        [value_name = "DUR", env = "DOSD_RELAY_IDLE", value_parser = parse_duration]
        serde(default, deserialize_with = "duration");
    /// Log level: error, warn, info, debug, trace, or per module; on a terminal warn, if not given [default: info]
    log: String = "info".into(), [value_name = "LEVEL", env = "DOSD_LOG"];
    /// Log format [default: text]
    log_format: LogFormat = LogFormat::Text, [value_name = "FORMAT", env = "DOSD_LOG_FORMAT"];
    /// Serve metrics and health over HTTP at this address [default: nowhere]
    metrics: SocketAddr, [value_name = "ADDR", env = "DOSD_METRICS"];
}

/// A duration in the file, written as on the command line.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(de::Error::custom)
}

fn visibility<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Visibility>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

fn preview_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PreviewSize>, D::Error> {
    let pixels = u32::deserialize(deserializer)?;
    pixels.to_string().parse().map(Some).map_err(de::Error::custom)
}

fn require(holds: bool, key: &str, needs: &str) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError(format!("{} {needs}", option_of(key)))) }
}

fn positive<N: Copy + Into<u64>>(key: &str, number: &N) -> Result<(), SettingError> {
    require((*number).into() > 0, key, "needs a number of at least 1")
}

/// More is open registration by another name.
fn peer_invites(key: &str, invites: &u32) -> Result<(), SettingError> {
    let needs = format!("needs a number from 0 to {PEER_INVITES_PER_DAY_MAX}");
    require(*invites <= PEER_INVITES_PER_DAY_MAX, key, &needs)
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
