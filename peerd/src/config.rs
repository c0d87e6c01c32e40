//! The settings: flag beats environment beats file beats default. An unknown key in the file is refused.

use std::{
    net::{Ipv6Addr, SocketAddr},
    num::{NonZeroU16, NonZeroU64},
    path::PathBuf,
};

use dos_daemon::{
    config::FileError,
    log::{LogError, LogFormat},
    reload::Configuration,
};
use dos_protocol::{
    limits::ADDRESSES_MAX,
    model::Address,
    paths::{DEFAULT_PROFILE, Environment, fits_socket, is_profile},
};
use serde::Deserialize;

use crate::{
    cli::{Arguments, known_keys},
    traffic::{Limits, RATE_MIN, TRANSFERS_MAX_DEFAULT},
};

/// What the sealed copies of others may take on the disk if nothing is said: 10 GiB.
pub const CACHE_BYTES_MAX_DEFAULT: u64 = 10 << 30;

/// Why the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not what can be logged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not a profile's name.
    #[error("a profile is named with 1 to 32 of a-z A-Z 0-9 . _ -, not beginning with a dot or a dash")]
    Profile,
    /// Neither given nor to be derived from the environment.
    #[error("no state directory: give --state-dir, or set HOME")]
    NoStateDir,
    /// Neither given nor to be derived from the environment.
    #[error("no socket: give --socket, or set HOME")]
    NoSocket,
    /// Longer than the system can bind.
    #[error("the socket path {path} is longer than a Unix socket's may be", path = .0.display())]
    SocketTooLong(PathBuf),
    /// Below what keeps transfers alive.
    #[error("{0} is at least {RATE_MIN} bytes per second")]
    Rate(&'static str),
    /// More addresses than the directory takes.
    #[error("at most {ADDRESSES_MAX} addresses can be advertised")]
    Addresses,
    /// Both at once make no sense.
    #[error("a daemon that is not reachable advertises no address")]
    Unreachable,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    profile: Option<String>,
    state_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
    listen: Option<SocketAddr>,
    #[serde(default)]
    advertise: Vec<Address>,
    reachable: Option<bool>,
    auto_fetch: Option<bool>,
    cache_bytes_max: Option<u64>,
    max_uploads: Option<NonZeroU16>,
    max_downloads: Option<NonZeroU16>,
    upload_rate: Option<u64>,
    download_rate: Option<u64>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    metrics: Option<SocketAddr>,
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
    /// The filter of the log; can be changed while the daemon runs.
    pub log: Box<str>,
    /// How it logs.
    pub log_format: LogFormat,
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
    /// What the sealed copies of others may take on the disk, in bytes.
    pub cache_bytes_max: u64,
    /// What serving others may take.
    pub uploads: Limits,
    /// What fetching may take.
    pub downloads: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auto_fetch: true,
            cache_bytes_max: CACHE_BYTES_MAX_DEFAULT,
            uploads: Limits::default(),
            downloads: Limits::default(),
        }
    }
}

impl Config {
    /// Default settings for a daemon with this state directory and socket, listening on a free port.
    #[must_use]
    pub fn new(state_dir: PathBuf, socket: PathBuf) -> Self {
        Self {
            profile: DEFAULT_PROFILE.into(),
            state_dir,
            socket,
            listen: (Ipv6Addr::UNSPECIFIED, 0).into(),
            advertise: Vec::new(),
            reachable: true,
            log: "info".into(),
            log_format: LogFormat::default(),
            metrics: None,
            settings: Settings::default(),
        }
    }

    /// Puts flags, environment and file together.
    ///
    /// # Errors
    /// As in [`ConfigError`].
    pub fn load(arguments: Arguments, environment: &Environment) -> Result<Self, ConfigError> {
        let read = |path| dos_daemon::config::read::<ConfigFile>(path, &known_keys());
        let file = arguments.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let profile = arguments.profile.or(file.profile).unwrap_or_else(|| DEFAULT_PROFILE.into());
        if !is_profile(&profile) {
            return Err(ConfigError::Profile);
        }
        let state_dir = arguments.state_dir.or(file.state_dir).or_else(|| environment.state_dir(&profile));
        let socket = arguments.socket.or(file.socket).or_else(|| environment.control_socket(&profile));
        let base = Self::new(state_dir.ok_or(ConfigError::NoStateDir)?, socket.ok_or(ConfigError::NoSocket)?);
        if !fits_socket(&base.socket) {
            return Err(ConfigError::SocketTooLong(base.socket));
        }
        let upload_rate = ("upload_rate", arguments.upload_rate.or(file.upload_rate));
        let download_rate = ("download_rate", arguments.download_rate.or(file.download_rate));
        let uploads = limits(arguments.max_uploads.or(file.max_uploads), upload_rate)?;
        let downloads = limits(arguments.max_downloads.or(file.max_downloads), download_rate)?;
        let advertise = if arguments.advertise.is_empty() { file.advertise } else { arguments.advertise };
        if advertise.len() > ADDRESSES_MAX {
            return Err(ConfigError::Addresses);
        }
        let reachable = arguments.reachable.or(file.reachable).unwrap_or(base.reachable);
        if !reachable && !advertise.is_empty() {
            return Err(ConfigError::Unreachable);
        }
        let log = arguments.log.or(file.log).map_or(base.log.clone(), Into::into);
        dos_daemon::log::check_filter(&log)?;
        let default = base.settings;
        let cache_bytes_max = arguments.cache_bytes_max.or(file.cache_bytes_max);
        Ok(Self {
            profile: profile.into(),
            listen: arguments.listen.or(file.listen).unwrap_or(base.listen),
            advertise,
            reachable,
            log,
            log_format: arguments.log_format.or(file.log_format).unwrap_or_default(),
            metrics: arguments.metrics.or(file.metrics),
            settings: Settings {
                auto_fetch: arguments.auto_fetch.or(file.auto_fetch).unwrap_or(default.auto_fetch),
                cache_bytes_max: cache_bytes_max.unwrap_or(default.cache_bytes_max),
                uploads,
                downloads,
            },
            ..base
        })
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
            ("log_format", self.log_format != other.log_format),
            ("metrics", self.metrics != other.metrics),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

fn limits(
    transfers_max: Option<NonZeroU16>,
    (name, rate): (&'static str, Option<u64>),
) -> Result<Limits, ConfigError> {
    if rate.is_some_and(|rate| rate < RATE_MIN) {
        return Err(ConfigError::Rate(name));
    }
    let transfers_max = transfers_max.map_or(TRANSFERS_MAX_DEFAULT, |count| count.get().into());
    Ok(Limits { transfers_max, rate: rate.and_then(NonZeroU64::new) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn with_file(text: &str) -> (tempfile::TempDir, Arguments) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("peerd.toml");
        std::fs::write(&path, text).unwrap();
        (temp, Arguments { config: Some(path), ..Arguments::default() })
    }

    fn home() -> Environment {
        Environment { home: Some("/h".into()), ..Environment::default() }
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let (_temp, arguments) = with_file("profile = \"bob\"\nauto_fetch = false\nlisten = \"127.0.0.1:7\"");
        let config = Config::load(arguments.clone(), &home()).unwrap();
        assert_eq!(&*config.profile, "bob");
        assert_eq!(config.state_dir, Path::new("/h/.local/state/dos/peers/bob"));
        assert!(!config.settings.auto_fetch);
        assert_eq!(config.settings.cache_bytes_max, CACHE_BYTES_MAX_DEFAULT);
        let arguments = Arguments { auto_fetch: Some(true), profile: Some("eve".into()), ..arguments };
        let config = Config::load(arguments, &home()).unwrap();
        assert_eq!((&*config.profile, config.settings.auto_fetch), ("eve", true));
    }

    #[test]
    fn an_unknown_key_a_bad_profile_and_a_missing_home_are_refused() {
        let (_temp, arguments) = with_file("listne = \"127.0.0.1:7\"");
        let error = Config::load(arguments, &home()).unwrap_err().to_string();
        assert!(error.ends_with("unknown key \"listne\", do you mean \"listen\"?"), "{error}");
        let arguments = Arguments { profile: Some("../x".into()), ..Arguments::default() };
        assert!(matches!(Config::load(arguments, &home()), Err(ConfigError::Profile)));
        let nowhere = Environment::default();
        assert!(matches!(Config::load(Arguments::default(), &nowhere), Err(ConfigError::NoStateDir)));
    }

    #[test]
    fn transfers_have_the_limits_that_were_set_and_a_rate_that_cannot_work_is_refused() {
        let (_temp, arguments) = with_file("max_uploads = 3\nupload_rate = 20000\ndownload_rate = 16384");
        let arguments = Arguments { upload_rate: Some(50_000), ..arguments };
        let config = Config::load(arguments.clone(), &home()).unwrap();
        assert_eq!(config.settings.uploads, Limits { transfers_max: 3, rate: NonZeroU64::new(50_000) });
        assert_eq!(config.settings.downloads, Limits { rate: NonZeroU64::new(16_384), ..Limits::default() });
        let slow = Arguments { download_rate: Some(16_383), ..arguments };
        assert!(matches!(Config::load(slow, &home()), Err(ConfigError::Rate("download_rate"))));
        let (_temp, none) = with_file("max_uploads = 0");
        assert!(matches!(Config::load(none, &home()), Err(ConfigError::File(FileError::Wrong(..)))));
    }

    #[test]
    fn a_daemon_that_is_not_reachable_advertises_nothing() {
        let (_temp, arguments) = with_file("reachable = false");
        assert!(!Config::load(arguments.clone(), &home()).unwrap().reachable);
        let arguments = Arguments { advertise: vec!["192.0.2.7:1".parse().unwrap()], ..arguments };
        assert!(matches!(Config::load(arguments, &home()), Err(ConfigError::Unreachable)));
    }

    #[test]
    fn a_socket_path_that_the_system_cannot_bind_is_refused() {
        let arguments = Arguments { socket: Some(PathBuf::from("/s".repeat(60))), ..Arguments::default() };
        assert!(matches!(Config::load(arguments, &home()), Err(ConfigError::SocketTooLong(_))));
    }

    #[test]
    fn every_key_that_is_offered_is_one_of_the_file() {
        for key in known_keys() {
            let error = toml::from_str::<ConfigFile>(&format!("{key} = {{}}")).unwrap_err().to_string();
            assert!(!error.contains("unknown field"), "{key}: {error}");
        }
    }

    #[test]
    fn what_needs_a_restart_is_told_by_its_key_and_nothing_else() {
        let (_one, arguments) = with_file("");
        let now = Config::load(arguments, &home()).unwrap();
        let (_two, arguments) = with_file("auto_fetch = false\nupload_rate = 20000\nlog = 'debug'");
        assert!(now.needs_restart_for(&Config::load(arguments, &home()).unwrap()).is_empty());
        let (_three, arguments) = with_file("listen = '[::1]:1'\nlog_format = 'json'\nmetrics = '[::1]:2'");
        let other = Config::load(arguments, &home()).unwrap();
        assert_eq!(now.needs_restart_for(&other), ["listen", "log_format", "metrics"]);
        let (_four, arguments) = with_file("log = 'a=loud'");
        assert!(matches!(Config::load(arguments, &home()), Err(ConfigError::Log(_))));
    }
}
