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

use super::gallery_url::GalleryUrl;
use crate::rules::strangers::Strangers;

/// Whether the gallery is served from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum GallerySwitch {
    /// From the start, and for as long as the daemon runs
    On,
    /// Once `dosctl gallery` is run, until the last browser has left
    #[default]
    Off,
}

/// Whether the router is asked to forward the port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum MappingSwitch {
    /// By PCP or NAT-PMP
    #[default]
    On,
    /// It is not
    Off,
}

/// Whether the desktop shows what has happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum NotifySwitch {
    /// Through the session bus
    On,
    /// Nothing is shown
    #[default]
    Off,
}

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

    /// Profile of this daemon: chooses the default directories; without it, that of DOSCTL_PROFILE
    profile: String = DEFAULT_PROFILE.into(), check profile, [env = "PEERD_PROFILE", value_name = "NAME"];
    /// Keep everything in this directory [default: $XDG_STATE_HOME/dos/peers/PROFILE]
    state_dir: PathBuf, [env = "PEERD_STATE_DIR", value_name = "DIR"];
    /// Listen for dosctl at this socket [default: $XDG_RUNTIME_DIR/dos/PROFILE/control.sock]
    socket: PathBuf, [env = "PEERD_SOCKET", value_name = "PATH"];
    /// Listen for other peers at this address and port.
    listen: SocketAddr = DEFAULT_LISTEN, [
        env = "PEERD_LISTEN",
        value_name = "ADDR",
        help = "Listen for other peers at this address and port [default: [::]:0]"
    ];
    /// Announce this address to other peers, besides those of this host; may be given several times
    advertise: Vec<Address>, check advertise,
        [env = "PEERD_ADVERTISE", value_name = "ADDR", value_delimiter = ','];
    /// Let other peers connect directly; with false they connect through the directory [default: true]
    reachable: bool = true, [env = "PEERD_REACHABLE", value_name = "BOOL"];
    /// Ask the router to forward the port, by PCP or NAT-PMP, while peerd runs [default: on]
    port_mapping: MappingSwitch = MappingSwitch::On, [env = "PEERD_PORT_MAPPING", value_name = "on|off", hide_possible_values = true];
    /// Fetch sealed copies as soon as a grant of a contact arrives [default: true]
    auto_fetch: bool = true, [env = "PEERD_AUTO_FETCH", value_name = "BOOL"];
    /// Shares of peers that you have not dealt with: list them as offers, or refuse them [default: offer]
    strangers: Strangers = Strangers::Offer, [env = "PEERD_STRANGERS", value_name = "WHAT"];
    /// Bytes on disk for the sealed copies of others [default: 10737418240]
    cache_bytes_max: u64 = CACHE_BYTES_MAX_DEFAULT, [env = "PEERD_CACHE_BYTES_MAX", value_name = "BYTES"];
    /// Viewers served at the same time; others wait and retry [default: 16]
    max_uploads: NonZeroU16 = TRANSFERS_MAX_DEFAULT, [env = "PEERD_MAX_UPLOADS", value_name = "N"];
    /// Sealed copies fetched at the same time; others wait [default: 16]
    max_downloads: NonZeroU16 = TRANSFERS_MAX_DEFAULT, [env = "PEERD_MAX_DOWNLOADS", value_name = "N"];
    /// Bytes per second of all uploads together, at least 16384 [default: no bound]
    upload_rate: u64, check rate, [env = "PEERD_UPLOAD_RATE", value_name = "BYTES"];
    /// Bytes per second of all downloads together, at least 16384 [default: no bound]
    download_rate: u64, check rate, [env = "PEERD_DOWNLOAD_RATE", value_name = "BYTES"];
    /// The gallery in the browser: served from the start, or once `dosctl gallery` is run [default: off]
    gallery: GallerySwitch = GallerySwitch::Off, [env = "PEERD_GALLERY", value_name = "on|off", hide_possible_values = true];
    /// Show requests, answers, new grants, messages and key changes as desktop notifications (D-Bus); `dosctl up` turns it on where there is a session bus [default: off]
    notify: NotifySwitch = NotifySwitch::Off, [env = "PEERD_NOTIFY", value_name = "on|off", hide_possible_values = true];
    /// Serve the gallery at this Unix socket, for a proxy of your own, in place of a port of this machine; needs gallery_url
    gallery_socket: PathBuf, [env = "PEERD_GALLERY_SOCKET", value_name = "PATH"];
    /// Where browsers find that proxy: http:// or https://, its host and its port
    gallery_url: GalleryUrl, [env = "PEERD_GALLERY_URL", value_name = "URL"];
    /// Log level: error, warn, info, debug, trace, or per module; on a terminal warn, if not given [default: info]
    log: String = "info".into(), [env = "PEERD_LOG", value_name = "FILTER"];
    /// Log format [default: text]
    log_format: LogFormat = LogFormat::Text, [env = "PEERD_LOG_FORMAT", value_name = "FORMAT"];
    /// Serve metrics and health over HTTP at this address [default: nowhere]
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
