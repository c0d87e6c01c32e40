//! The server's settings: a flag beats the environment beats the file beats the default.

mod declared;
mod store;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use dos_daemon::{
    config::FileError,
    log::{LogError, LogFormat},
    reload::Configuration,
    settings::SettingError,
};
use dos_protocol::{Visibility, link::split_host_port, model::PreviewSize, paths::Environment};

pub use store::{StoreConfig, StoreConfigError};

pub use declared::{DEFAULT_LISTEN, FileConfig, Registration, Switch, Values};

use crate::limits::Limits;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not what can be logged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no home directory to keep the data in.
    #[error("no data directory: give --data-dir")]
    NoDataDir,
    /// A value that cannot be meant.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Where the store is.
    #[error(transparent)]
    Store(#[from] StoreConfigError),
    /// Where nodes listen for each other.
    #[error("--cluster {0}")]
    Cluster(&'static str),
    /// Not `HOST:PORT`.
    #[error("--advertise needs HOST:PORT, not \"{}\"", .0.escape_debug())]
    Advertise(String),
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where peers connect.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The database servers that keep the store, if it is not in the data directory.
    pub store: Option<StoreConfig>,
    /// Where the other nodes of the directory find this one, if there may be others.
    pub cluster: Option<SocketAddr>,
    /// What the join link says instead of a guess: host and port.
    pub advertise: Option<(String, u16)>,
    /// Whether it is announced on the local network; nothing if that goes by its address.
    pub announce: Option<bool>,
    /// Up to which size previews are kept. Peers are told it when they sign in, so that it is one for as long as the server runs.
    pub preview_size: PreviewSize,
    /// How it logs.
    pub log_format: LogFormat,
    /// Where metrics and health are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// What it logs; can be changed while the server runs.
    pub log: String,
    /// What can be changed while the server runs.
    pub settings: Settings,
}

/// What can be changed while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who may register.
    pub registration: Registration,
    /// How many registrations one address may attempt in a minute, and at once.
    pub registrations_per_minute: u32,
    /// How many invites one peer may make in a day.
    pub peer_invites: u32,
    /// Whether peers may broadcast.
    pub broadcast: Switch,
    /// How many broadcasts one peer may make in a minute, and at once.
    pub broadcasts_per_minute: u32,
    /// How long a peer may ask nothing before it is signed out, if that is bounded.
    pub idle_timeout: Option<Duration>,
    /// How long the first lock-out of a password login lasts.
    pub block_duration: Duration,
    /// How much one peer, one address and all together may take.
    pub limits: Limits,
    /// What is relayed.
    pub relay: RelaySettings,
    /// Who sees an image whose owner does not say who may.
    pub default_visibility: Visibility,
}

/// What is relayed, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySettings {
    /// Whether at all.
    pub on: bool,
    /// Calls together.
    pub calls: u32,
    /// Of these, calls that one peer makes or takes.
    pub calls_per_peer: u32,
    /// Bytes in a second.
    pub bytes_per_second: u64,
    /// Of these, bytes of the calls that one peer makes or takes.
    pub bytes_per_second_per_peer: u64,
    /// How long nothing may move on a call.
    pub idle: Duration,
}

impl From<&Values> for Settings {
    fn from(values: &Values) -> Self {
        Self {
            registration: values.registration,
            registrations_per_minute: values.registrations_per_minute,
            peer_invites: values.peer_invites,
            broadcast: values.broadcast,
            broadcasts_per_minute: values.broadcasts_per_minute,
            idle_timeout: values.idle_timeout,
            block_duration: values.block_duration,
            limits: Limits {
                sessions_max: values.sessions_max,
                sessions_per_address: values.sessions_per_address,
                handshakes_per_minute: values.handshakes_per_minute,
                requests_per_second: values.requests_per_second,
                messages_per_minute: values.messages_per_minute,
                views_per_minute: values.views_per_minute,
                images_per_peer: values.images_per_peer,
                preview_bytes_per_peer: values.preview_bytes_per_peer,
                row_bytes_per_peer: values.row_bytes_per_peer,
                inbox_rows_per_sender: values.inbox_rows_per_sender,
                inbox_rows_max: values.inbox_rows_max,
                inbox_bytes_max: values.inbox_bytes_max,
                sent_bytes_per_peer: values.sent_bytes_per_peer,
                database_bytes_max: values.database_bytes_max,
                disk_reserve_bytes: values.disk_reserve_bytes,
            },
            relay: RelaySettings {
                on: values.relay == Switch::On,
                calls: values.relay_calls,
                calls_per_peer: values.relay_calls_per_peer,
                bytes_per_second: values.relay_bytes_per_second,
                bytes_per_second_per_peer: values.relay_bytes_per_second_per_peer,
                idle: values.relay_idle,
            },
            default_visibility: values.default_visibility,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::from(&Values::default())
    }
}

impl Default for RelaySettings {
    fn default() -> Self {
        Settings::default().relay
    }
}

/// Here, because the defaults are declared here.
impl Default for Limits {
    fn default() -> Self {
        Settings::default().limits
    }
}

impl FileConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(dos_daemon::config::read(path, Self::KEYS)?)
    }
}

impl Config {
    /// Puts together what the command line (with the environment) and the file say.
    ///
    /// # Errors
    /// As in [`ConfigError`], but for those of the file.
    pub fn new(said: FileConfig, file: FileConfig) -> Result<Self, ConfigError> {
        let values = said.over(file).values()?;
        check_cluster(values.cluster, values.store.is_some())?;
        dos_daemon::log::check_filter(&values.log)?;
        Ok(Self {
            settings: Settings::from(&values),
            listen: values.listen,
            data_dir: data_dir(values.data_dir)?,
            store: StoreConfig::new(values.store.as_deref(), values.store_ca, values.store_password_file)?,
            cluster: values.cluster,
            advertise: values.advertise.map(|text| host_port(&text)).transpose()?,
            announce: values.announce.map(|announce| announce == Switch::On),
            preview_size: values.preview_size,
            log_format: values.log_format,
            metrics: values.metrics,
            log: values.log,
        })
    }

    /// The file, as far as there is one, under what is said.
    ///
    /// # Errors
    /// As in [`ConfigError`].
    pub fn load(said: FileConfig, file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut below = file.map(FileConfig::read).transpose()?.unwrap_or_default();
        // A person types commands there.
        if said.log.is_none() && Environment::of_process().at_terminal {
            below.log.get_or_insert_with(|| LOG_AT_TERMINAL.into());
        }
        Self::new(said, below)
    }
}

impl Configuration for Config {
    fn log(&self) -> &str {
        &self.log
    }

    fn needs_restart_for(&self, other: &Self) -> Vec<&'static str> {
        let address = |store: &StoreConfig| store.address.clone();
        let authority = |store: &StoreConfig| store.authority.clone();
        let password = |store: &StoreConfig| store.password.clone();
        let differs = [
            ("listen", self.listen != other.listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("store", self.store.as_ref().map(address) != other.store.as_ref().map(address)),
            ("store_ca", self.store.as_ref().and_then(authority) != other.store.as_ref().and_then(authority)),
            (
                "store_password_file",
                self.store.as_ref().and_then(password) != other.store.as_ref().and_then(password),
            ),
            ("cluster", self.cluster != other.cluster),
            ("advertise", self.advertise != other.advertise),
            ("announce", self.announce != other.announce),
            ("preview_size", self.preview_size != other.preview_size),
            ("log_format", self.log_format != other.log_format),
            ("metrics", self.metrics != other.metrics),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

/// The other nodes are told this address, and share the store.
fn check_cluster(cluster: Option<SocketAddr>, has_servers: bool) -> Result<(), ConfigError> {
    match cluster {
        Some(_) if !has_servers => {
            Err(ConfigError::Cluster("needs --store: nodes share a store on database servers"))
        }
        Some(address) if address.ip().is_unspecified() => {
            Err(ConfigError::Cluster("needs an address of this server that the other nodes can reach"))
        }
        _ => Ok(()),
    }
}

/// What is logged to a terminal unless asked: a person types commands there.
const LOG_AT_TERMINAL: &str = "warn";

/// The data directory that is meant when this was said.
///
/// # Errors
/// [`ConfigError::NoDataDir`].
pub fn data_dir(said: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    said.or_else(|| Environment::of_process().data_dir()).ok_or(ConfigError::NoDataDir)
}

fn host_port(text: &str) -> Result<(String, u16), ConfigError> {
    let (host, port) = split_host_port(text).map_err(|_| ConfigError::Advertise(text.to_owned()))?;
    Ok((host.to_owned(), port))
}
