//! The settings: flag beats environment beats file beats default. An unknown key in the file is refused.

mod declared;
mod gallery_url;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU64},
    path::{Path, PathBuf},
};

use dos_daemon::{
    config::FileError,
    log::{LogError, LogFormat},
    reload::Configuration,
    settings::SettingError,
};
use dos_protocol::{
    model::Address,
    paths::{Environment, fits_socket},
};

pub use crate::rules::strangers::Strangers;
pub use declared::{GallerySwitch, Given, MappingSwitch, NotifySwitch, Values};
pub use gallery_url::{GalleryUrl, GalleryUrlError};

/// Why the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not what can be logged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A value that cannot be meant.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Neither given nor to be derived from the environment.
    #[error("no state directory: give --state-dir, or set HOME")]
    NoStateDir,
    /// Neither given nor to be derived from the environment.
    #[error("no socket: give --socket, or set HOME")]
    NoSocket,
    /// Longer than the system can bind.
    #[error("the socket path {path} is longer than a Unix socket's may be", path = .0.display())]
    SocketTooLong(PathBuf),
    /// Both at once make no sense.
    #[error("a daemon that is not reachable advertises no address")]
    Unreachable,
    /// Each is worth nothing without the other.
    #[error(
        "gallery_socket and gallery_url go together: where the proxy finds the gallery, and where browsers find the proxy"
    )]
    HalfAProxy,
}

/// All settings of one daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its profile.
    pub profile: Box<str>,
    /// Where everything is kept.
    pub state_dir: PathBuf,
    /// The socket for dosctl.
    pub socket: PathBuf,
    /// Where other peers connect.
    pub listen: SocketAddr,
    /// Further addresses at which others reach it.
    pub advertise: Vec<Address>,
    /// Whether others can connect to it at all.
    pub reachable: bool,
    /// Whether the router is asked to forward the port.
    pub port_mapping: MappingSwitch,
    /// The filter of the log; can be changed while the daemon runs.
    pub log: Box<str>,
    /// How it logs.
    pub log_format: LogFormat,
    /// Whether the gallery is served from the start.
    pub gallery: GallerySwitch,
    /// Whether the desktop shows what has happened.
    pub notify: NotifySwitch,
    /// Where it is served, and where browsers find it, if that is behind a proxy.
    pub gallery_proxy: Option<(PathBuf, GalleryUrl)>,
    /// Where metrics and health are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// What can be changed while the daemon runs.
    pub settings: Settings,
}

/// What can be changed while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether sealed copies are fetched when a right arrives.
    pub auto_fetch: bool,
    /// What becomes of the shares and the connections of strangers.
    pub strangers: Strangers,
    /// What the sealed copies of others may take on the disk, in bytes.
    pub cache_bytes_max: u64,
    /// What serving others may take.
    pub uploads: Limits,
    /// What fetching may take.
    pub downloads: Limits,
}

/// How much of the network the transfers of one direction may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Transfers at once, at least 1.
    pub transfers_max: usize,
    /// Bytes per second, at least what `--upload-rate` takes; nothing for as many as there can be.
    pub rate: Option<NonZeroU64>,
}

impl Limits {
    fn new(transfers_max: NonZeroU16, rate: Option<u64>) -> Self {
        Self { transfers_max: transfers_max.get().into(), rate: rate.and_then(NonZeroU64::new) }
    }
}

impl From<&Values> for Settings {
    fn from(values: &Values) -> Self {
        Self {
            auto_fetch: values.auto_fetch,
            strangers: values.strangers,
            cache_bytes_max: values.cache_bytes_max,
            uploads: Limits::new(values.max_uploads, values.upload_rate),
            downloads: Limits::new(values.max_downloads, values.download_rate),
        }
    }
}

/// What is logged to a terminal unless asked: a person types commands there.
const LOG_AT_TERMINAL: &str = "warn";

impl Default for Settings {
    fn default() -> Self {
        Self::from(&Values::default())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Settings::default().uploads
    }
}

impl Config {
    /// Default settings for a daemon with this state directory and socket, listening on a free port.
    #[must_use]
    pub fn new(state_dir: PathBuf, socket: PathBuf) -> Self {
        Self::of(Values::default(), state_dir, socket)
    }

    fn of(values: Values, state_dir: PathBuf, socket: PathBuf) -> Self {
        Self {
            settings: Settings::from(&values),
            profile: values.profile.into(),
            state_dir,
            socket,
            listen: values.listen,
            advertise: values.advertise.unwrap_or_default(),
            reachable: values.reachable,
            port_mapping: values.port_mapping,
            log: values.log.into(),
            log_format: values.log_format,
            gallery: values.gallery,
            notify: values.notify,
            gallery_proxy: values.gallery_socket.zip(values.gallery_url),
            metrics: values.metrics,
        }
    }

    /// Puts flags (with the environment) and file together.
    ///
    /// # Errors
    /// As in [`ConfigError`].
    pub fn load(given: Given, file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let read = |path| dos_daemon::config::read::<Given>(path, Given::KEYS);
        let mut given = given.over(file.map(read).transpose()?.unwrap_or_default());
        // Whoever works with a profile starts its daemon.
        given.profile = given.profile.or_else(|| environment.dosctl_profile.clone().map(Into::into));
        if environment.at_terminal {
            given.log.get_or_insert_with(|| LOG_AT_TERMINAL.into());
        }
        let mut values = given.values()?;
        let state_dir = values.state_dir.take().or_else(|| environment.state_dir(&values.profile));
        let socket = values.socket.take().or_else(|| environment.control_socket(&values.profile));
        if values.gallery_socket.is_some() != values.gallery_url.is_some() {
            return Err(ConfigError::HalfAProxy);
        }
        let (state_dir, socket) =
            (state_dir.ok_or(ConfigError::NoStateDir)?, socket.ok_or(ConfigError::NoSocket)?);
        for path in std::iter::once(&socket).chain(&values.gallery_socket) {
            if !fits_socket(path) {
                return Err(ConfigError::SocketTooLong(path.clone()));
            }
        }
        let config = Self::of(values, state_dir, socket);
        if !config.reachable && !config.advertise.is_empty() {
            return Err(ConfigError::Unreachable);
        }
        dos_daemon::log::check_filter(&config.log)?;
        Ok(config)
    }
}

impl Configuration for Config {
    fn log(&self) -> &str {
        &self.log
    }

    fn needs_restart_for(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("profile", self.profile != other.profile),
            ("state_dir", self.state_dir != other.state_dir),
            ("socket", self.socket != other.socket),
            ("listen", self.listen != other.listen),
            ("advertise", self.advertise != other.advertise),
            ("reachable", self.reachable != other.reachable),
            ("port_mapping", self.port_mapping != other.port_mapping),
            ("log_format", self.log_format != other.log_format),
            ("gallery", self.gallery != other.gallery),
            ("notify", self.notify != other.notify),
            ("gallery_socket or gallery_url", self.gallery_proxy != other.gallery_proxy),
            ("metrics", self.metrics != other.metrics),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}
