//! The server's settings: a flag beats the environment beats the file.

mod relay;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use dos_daemon::{
    config::FileError,
    log::{LogError, LogFormat},
    reload::Configuration,
};
use dos_protocol::{
    limits::{BLOCK_DURATION, BLOCK_DURATION_MAX, BROADCASTS_PER_MINUTE, REGISTRATIONS_PER_MINUTE},
    link::split_host_port,
    parse_duration,
    paths::Environment,
};
use serde::{Deserialize, Deserializer, de};

use crate::cli::known_keys;
use crate::limits::Limits;

/// Shorter lock-outs would hinder no guessing.
const BLOCK_DURATION_MIN: Duration = Duration::from_secs(1);

/// A duration in the file, written as on the command line.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(de::Error::custom)
}

pub use relay::{RelayError, RelaySettings};

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
    /// No registration at all is `--registration closed`.
    #[error("--registrations-per-minute needs a number of at least 1")]
    NoRegistrations,
    /// No broadcast at all is `--broadcast off`.
    #[error("--broadcasts-per-minute needs a number of at least 1")]
    NoBroadcasts,
    /// A peer could not even sign in and ask.
    #[error("--idle-timeout needs a time of at least 1s")]
    IdleTimeout,
    /// A lock-out that protects nobody, or keeps owners out.
    #[error("--block-duration is from 1s to 1h")]
    BlockDuration,
    /// A limit that allows nothing.
    #[error("--{0} needs a number of at least 1")]
    Nothing(String),
    /// Not `HOST:PORT`.
    #[error("--advertise needs HOST:PORT, not {0:?}")]
    Advertise(String),
    /// The relay's limits.
    #[error(transparent)]
    Relay(#[from] RelayError),
}

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

/// The settings as they are said, on the command line (with the environment) or in the file: one list of options, whose
/// names in the file have `_` for `-`.
#[derive(Debug, Clone, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The address and port that peers connect to.
    #[arg(
        long,
        value_name = "ADDR",
        env = "DOSD_LISTEN",
        help = "The address and port that peers connect to [default: [::]:5001]"
    )]
    pub listen: Option<SocketAddr>,
    /// The server's data directory [default: $STATE_DIRECTORY, or dos/dosd in the user's state directory]
    #[arg(long, value_name = "DIR", env = "DOSD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// What the join link tells peers to connect to [default: the address of this machine]
    #[arg(long, value_name = "HOST:PORT", env = "DOSD_ADVERTISE")]
    pub advertise: Option<String>,
    /// Who may register [default: invite]
    #[arg(long, value_name = "WHO", env = "DOSD_REGISTRATION")]
    pub registration: Option<Registration>,
    /// Registrations that one address may attempt in a minute, and at once [default: 60]
    #[arg(long, value_name = "N", env = "DOSD_REGISTRATIONS_PER_MINUTE")]
    pub registrations_per_minute: Option<u32>,
    /// Whether peers may broadcast to everybody who is online [default: on]
    #[arg(long, value_name = "WHETHER", env = "DOSD_BROADCAST")]
    pub broadcast: Option<Switch>,
    /// Broadcasts that one peer may make in a minute, and at once [default: 6]
    #[arg(long, value_name = "N", env = "DOSD_BROADCASTS_PER_MINUTE")]
    pub broadcasts_per_minute: Option<u32>,
    /// Sign out peers that asked nothing for so long [default: never]
    #[arg(long, value_name = "DUR", env = "DOSD_IDLE_TIMEOUT", value_parser = parse_duration)]
    #[serde(default, deserialize_with = "duration")]
    pub idle_timeout: Option<Duration>,
    /// How long a name's password login is locked after three wrong passwords, at first; up to an hour [default: 60s]
    #[arg(long, value_name = "DUR", env = "DOSD_BLOCK_DURATION", value_parser = parse_duration)]
    #[serde(default, deserialize_with = "duration")]
    pub block_duration: Option<Duration>,
    /// Sessions in all [default: 100000]
    #[arg(long, value_name = "N", env = "DOSD_SESSIONS_MAX", help_heading = "Limits")]
    pub sessions_max: Option<u32>,
    /// Sessions from one address (IPv6: one /64) [default: 20000]
    #[arg(long, value_name = "N", env = "DOSD_SESSIONS_PER_ADDRESS", help_heading = "Limits")]
    pub sessions_per_address: Option<u32>,
    /// TLS handshakes from one address in a minute, and at once [default: 12000]
    #[arg(long, value_name = "N", env = "DOSD_HANDSHAKES_PER_MINUTE", help_heading = "Limits")]
    pub handshakes_per_minute: Option<u32>,
    /// Requests of one peer in a second, with ten seconds' worth at once [default: 500]
    #[arg(long, value_name = "N", env = "DOSD_REQUESTS_PER_SECOND", help_heading = "Limits")]
    pub requests_per_second: Option<u32>,
    /// Messages of one peer in a minute, and at once [default: 600]
    #[arg(long, value_name = "N", env = "DOSD_MESSAGES_PER_MINUTE", help_heading = "Limits")]
    pub messages_per_minute: Option<u32>,
    /// Images that one peer may publish [default: 100000]
    #[arg(long, value_name = "N", env = "DOSD_IMAGES_PER_PEER", help_heading = "Limits")]
    pub images_per_peer: Option<u32>,
    /// Bytes of all previews of one peer [default: 1073741824]
    #[arg(long, value_name = "BYTES", env = "DOSD_PREVIEW_BYTES_PER_PEER", help_heading = "Limits")]
    pub preview_bytes_per_peer: Option<u64>,
    /// Messages and requests of one peer that wait for another one [default: 1000]
    #[arg(long, value_name = "N", env = "DOSD_INBOX_ROWS_PER_SENDER", help_heading = "Limits")]
    pub inbox_rows_per_sender: Option<u32>,
    /// Updates that wait for one peer, before it gets no more messages, requests and rights [default: 100000]
    #[arg(long, value_name = "N", env = "DOSD_INBOX_ROWS_MAX", help_heading = "Limits")]
    pub inbox_rows_max: Option<u32>,
    /// Whether peers that cannot reach each other may connect through this server [default: on]
    #[arg(long, value_name = "ON|OFF", env = "DOSD_RELAY")]
    pub relay: Option<Switch>,
    /// Calls relayed together [default: 256]
    #[arg(long, value_name = "N", env = "DOSD_RELAY_CALLS")]
    pub relay_calls: Option<u32>,
    /// Of these, calls that one peer makes or takes [default: 16]
    #[arg(long, value_name = "N", env = "DOSD_RELAY_CALLS_PER_PEER")]
    pub relay_calls_per_peer: Option<u32>,
    /// Bytes relayed in a second [default: 1000000000]
    #[arg(long, value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND")]
    pub relay_bytes_per_second: Option<u64>,
    /// Of these, bytes of the calls that one peer makes or takes [default: 500000000]
    #[arg(long, value_name = "BYTES", env = "DOSD_RELAY_BYTES_PER_SECOND_PER_PEER")]
    pub relay_bytes_per_second_per_peer: Option<u64>,
    /// How long nothing may move on a relayed call before it is ended [default: 60s]
    #[arg(long, value_name = "DUR", env = "DOSD_RELAY_IDLE", value_parser = parse_duration)]
    #[serde(default, deserialize_with = "duration")]
    pub relay_idle: Option<Duration>,
    /// What to log: error, warn, info, debug, trace, or per module [default: info]
    #[arg(long, value_name = "LEVEL", env = "DOSD_LOG")]
    pub log: Option<String>,
    /// How to log [default: text]
    #[arg(long, value_name = "FORMAT", env = "DOSD_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Serve metrics and health over HTTP at this address [default: nowhere]
    #[arg(long, value_name = "ADDR", env = "DOSD_METRICS")]
    pub metrics: Option<SocketAddr>,
}

impl FileConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(dos_daemon::config::read(path, &known_keys())?)
    }

    /// What is said here, and where nothing is said what is said `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            data_dir: self.data_dir.or(below.data_dir),
            advertise: self.advertise.or(below.advertise),
            registration: self.registration.or(below.registration),
            registrations_per_minute: self.registrations_per_minute.or(below.registrations_per_minute),
            broadcast: self.broadcast.or(below.broadcast),
            broadcasts_per_minute: self.broadcasts_per_minute.or(below.broadcasts_per_minute),
            idle_timeout: self.idle_timeout.or(below.idle_timeout),
            block_duration: self.block_duration.or(below.block_duration),
            sessions_max: self.sessions_max.or(below.sessions_max),
            sessions_per_address: self.sessions_per_address.or(below.sessions_per_address),
            handshakes_per_minute: self.handshakes_per_minute.or(below.handshakes_per_minute),
            requests_per_second: self.requests_per_second.or(below.requests_per_second),
            messages_per_minute: self.messages_per_minute.or(below.messages_per_minute),
            images_per_peer: self.images_per_peer.or(below.images_per_peer),
            preview_bytes_per_peer: self.preview_bytes_per_peer.or(below.preview_bytes_per_peer),
            inbox_rows_per_sender: self.inbox_rows_per_sender.or(below.inbox_rows_per_sender),
            inbox_rows_max: self.inbox_rows_max.or(below.inbox_rows_max),
            relay: self.relay.or(below.relay),
            relay_calls: self.relay_calls.or(below.relay_calls),
            relay_calls_per_peer: self.relay_calls_per_peer.or(below.relay_calls_per_peer),
            relay_bytes_per_second: self.relay_bytes_per_second.or(below.relay_bytes_per_second),
            relay_bytes_per_second_per_peer: self
                .relay_bytes_per_second_per_peer
                .or(below.relay_bytes_per_second_per_peer),
            relay_idle: self.relay_idle.or(below.relay_idle),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
            metrics: self.metrics.or(below.metrics),
        }
    }
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where peers connect.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What the join link says instead of a guess: host and port.
    pub advertise: Option<(String, u16)>,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration: Registration::default(),
            registrations_per_minute: REGISTRATIONS_PER_MINUTE,
            broadcast: Switch::On,
            broadcasts_per_minute: BROADCASTS_PER_MINUTE,
            idle_timeout: None,
            block_duration: BLOCK_DURATION,
            limits: Limits::default(),
            relay: RelaySettings::default(),
        }
    }
}

impl Settings {
    fn new(said: &FileConfig) -> Result<Self, ConfigError> {
        let default = Self::default();
        let per_minute = said.registrations_per_minute.unwrap_or(default.registrations_per_minute);
        if per_minute == 0 {
            return Err(ConfigError::NoRegistrations);
        }
        let broadcasts_per_minute = said.broadcasts_per_minute.unwrap_or(default.broadcasts_per_minute);
        if broadcasts_per_minute == 0 {
            return Err(ConfigError::NoBroadcasts);
        }
        if said.idle_timeout.is_some_and(|idle| idle < IDLE_TIMEOUT_MIN) {
            return Err(ConfigError::IdleTimeout);
        }
        let block_duration = said.block_duration.unwrap_or(default.block_duration);
        if !(BLOCK_DURATION_MIN..=BLOCK_DURATION_MAX).contains(&block_duration) {
            return Err(ConfigError::BlockDuration);
        }
        Ok(Self {
            registration: said.registration.unwrap_or(default.registration),
            registrations_per_minute: per_minute,
            broadcast: said.broadcast.unwrap_or(default.broadcast),
            broadcasts_per_minute,
            idle_timeout: said.idle_timeout,
            block_duration,
            limits: Limits::new(said)?,
            relay: RelaySettings::new(said)?,
        })
    }
}

/// Between a sign-in and the first request lies a moment.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// What is logged if nothing is said.
const DEFAULT_LOG: &str = "info";

/// The default of `--listen`: every address, IPv6 and IPv4.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 5001);

impl Config {
    /// Puts together what the command line (with the environment) and the file say.
    ///
    /// # Errors
    /// [`ConfigError::NoDataDir`], or what is wrong with a value.
    /// As in [`ConfigError`], but for those of the file.
    /// [`ConfigError::NoDataDir`], [`ConfigError::Advertise`], [`ConfigError::NoRegistrations`] or [`ConfigError::Relay`].
    pub fn new(said: FileConfig, file: FileConfig) -> Result<Self, ConfigError> {
        let said = said.over(file);
        let settings = Settings::new(&said)?;
        let log = said.log.unwrap_or_else(|| DEFAULT_LOG.into());
        dos_daemon::log::check_filter(&log)?;
        Ok(Self {
            listen: said.listen.unwrap_or(DEFAULT_LISTEN),
            data_dir: data_dir(said.data_dir)?,
            advertise: said.advertise.map(|text| host_port(&text)).transpose()?,
            log_format: said.log_format.unwrap_or_default(),
            metrics: said.metrics,
            log,
            settings,
        })
    }

    /// The file, as far as there is one, under what is said.
    ///
    /// # Errors
    /// As in [`ConfigError`].
    pub fn load(said: FileConfig, file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::new(said, file.map(FileConfig::read).transpose()?.unwrap_or_default())
    }
}

impl Configuration for Config {
    fn log(&self) -> &str {
        &self.log
    }

    fn needs_restart_for(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != other.listen),
            ("data_dir", self.data_dir != other.data_dir),
            ("advertise", self.advertise != other.advertise),
            ("log_format", self.log_format != other.log_format),
            ("metrics", self.metrics != other.metrics),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beats_the_file() {
        let said = FileConfig { listen: Some("127.0.0.1:1".parse().unwrap()), ..FileConfig::default() };
        let file: FileConfig = toml::from_str(
            "listen = '127.0.0.1:2'\ndata_dir = '/x'\nadvertise = '[::1]:9'\nregistration = 'closed'\nbroadcast = 'off'\nidle_timeout = '2h'",
        )
        .unwrap();
        let config = Config::new(said, file).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.data_dir, PathBuf::from("/x"));
        assert_eq!(config.advertise, Some(("::1".into(), 9)));
        assert_eq!(config.settings.registration, Registration::Closed);
        assert_eq!(config.settings.broadcast, Switch::Off);
        assert_eq!(config.settings.idle_timeout, Some(Duration::from_secs(7200)));
    }

    #[test]
    fn the_lock_out_is_written_as_a_duration_and_bounded() {
        let file = |text: &str| toml::from_str::<FileConfig>(text);
        let config = |text: &str| {
            let said = FileConfig { data_dir: Some("/x".into()), ..FileConfig::default() };
            Config::new(said, file(text).unwrap()).map(|config| config.settings.block_duration)
        };
        assert_eq!(config("block_duration = '5m'").unwrap(), Duration::from_secs(300));
        assert_eq!(config("").unwrap(), BLOCK_DURATION);
        for wrong in ["block_duration = '10ms'", "block_duration = '2h'"] {
            assert!(matches!(config(wrong), Err(ConfigError::BlockDuration)), "{wrong}");
        }
        assert!(file("block_duration = 60").is_err());
    }

    #[test]
    fn what_needs_a_restart_is_told_by_its_key_and_nothing_else() {
        let said = FileConfig { data_dir: Some("/x".into()), ..FileConfig::default() };
        let config = |text: &str| Config::new(said.clone(), toml::from_str(text).unwrap()).unwrap();
        let now = config("");
        assert!(now.needs_restart_for(&config("registration = 'open'\nlog = 'debug'")).is_empty());
        let other = config("listen = '[::1]:1'\nadvertise = 'a:1'\nlog_format = 'json'\nmetrics = '[::1]:2'");
        assert_eq!(now.needs_restart_for(&other), ["listen", "advertise", "log_format", "metrics"]);
    }

    #[test]
    fn every_key_that_is_offered_is_one_of_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dosd.toml");
        for key in known_keys() {
            // Whatever is wrong with the value: the key is known.
            let error = toml::from_str::<FileConfig>(&format!("{key} = []")).unwrap_err().to_string();
            assert!(!error.contains("unknown field"), "{key}: {error}");
        }
        std::fs::write(&path, "registraton = 'open'").unwrap();
        let error = FileConfig::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("unknown key \"registraton\", do you mean \"registration\"?"), "{error}");
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused() {
        assert!(toml::from_str::<FileConfig>("lissen = '127.0.0.1:2'").is_err());
        let none = FileConfig { broadcasts_per_minute: Some(0), ..FileConfig::default() };
        assert!(matches!(Config::new(FileConfig::default(), none), Err(ConfigError::NoBroadcasts)));
        assert!(toml::from_str::<FileConfig>("idle_timeout = 'soon'").is_err());
        let hasty = FileConfig { idle_timeout: Some(Duration::from_millis(10)), ..FileConfig::default() };
        assert!(matches!(Config::new(hasty, FileConfig::default()), Err(ConfigError::IdleTimeout)));
        let file = FileConfig {
            advertise: Some("nonsense".into()),
            data_dir: Some("/x".into()),
            ..FileConfig::default()
        };
        assert!(matches!(Config::new(FileConfig::default(), file), Err(ConfigError::Advertise(_))));
    }
}
