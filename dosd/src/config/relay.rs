//! The relay's settings.

use std::time::Duration;

use dos_protocol::limits::{
    RELAY_BYTES_PER_SECOND, RELAY_BYTES_PER_SECOND_MIN, RELAY_BYTES_PER_SECOND_PER_PEER, RELAY_CALLS,
    RELAY_CALLS_MAX, RELAY_CALLS_PER_PEER, RELAY_IDLE,
};

use super::{FileConfig, Switch};

/// A limit that cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No calls at all is `--relay off`.
    #[error("{0} needs a number from 1 to {RELAY_CALLS_MAX}")]
    Calls(&'static str),
    /// Too slow to be of use.
    #[error("{0} needs a number of at least {RELAY_BYTES_PER_SECOND_MIN}")]
    Bytes(&'static str),
    /// A call needs a moment.
    #[error("--relay-idle needs at least 1s")]
    Idle,
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

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            on: true,
            calls: RELAY_CALLS,
            calls_per_peer: RELAY_CALLS_PER_PEER,
            bytes_per_second: RELAY_BYTES_PER_SECOND,
            bytes_per_second_per_peer: RELAY_BYTES_PER_SECOND_PER_PEER,
            idle: RELAY_IDLE,
        }
    }
}

impl RelaySettings {
    /// What is said, and the defaults where nothing is.
    ///
    /// # Errors
    /// As in [`RelayError`].
    pub(super) fn new(said: &FileConfig) -> Result<Self, RelayError> {
        let default = Self::default();
        let calls = |said: Option<u32>, default: u32, option| match said.unwrap_or(default) {
            calls @ 1..=RELAY_CALLS_MAX => Ok(calls),
            _ => Err(RelayError::Calls(option)),
        };
        let bytes = |said: Option<u64>, default: u64, option| match said.unwrap_or(default) {
            bytes @ RELAY_BYTES_PER_SECOND_MIN.. => Ok(bytes),
            _ => Err(RelayError::Bytes(option)),
        };
        let idle = said.relay_idle.unwrap_or(default.idle);
        if idle < Duration::from_secs(1) {
            return Err(RelayError::Idle);
        }
        Ok(Self {
            on: said.relay.map_or(default.on, |relay| relay == Switch::On),
            calls: calls(said.relay_calls, default.calls, "--relay-calls")?,
            calls_per_peer: calls(
                said.relay_calls_per_peer,
                default.calls_per_peer,
                "--relay-calls-per-peer",
            )?,
            bytes_per_second: bytes(
                said.relay_bytes_per_second,
                default.bytes_per_second,
                "--relay-bytes-per-second",
            )?,
            bytes_per_second_per_peer: bytes(
                said.relay_bytes_per_second_per_peer,
                default.bytes_per_second_per_peer,
                "--relay-bytes-per-second-per-peer",
            )?,
            idle,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RelaySettings, RelayError> {
        RelaySettings::new(&toml::from_str(text).unwrap())
    }

    #[test]
    fn the_file_says_what_is_relayed() {
        let settings = read(
            "relay = 'off'\nrelay_calls = 3\nrelay_calls_per_peer = 2\nrelay_bytes_per_second = 9000\n\
             relay_bytes_per_second_per_peer = 8000\nrelay_idle = '5s'",
        );
        let wanted = RelaySettings {
            on: false,
            calls: 3,
            calls_per_peer: 2,
            bytes_per_second: 9000,
            bytes_per_second_per_peer: 8000,
            idle: Duration::from_secs(5),
        };
        assert_eq!(settings, Ok(wanted));
        assert_eq!(read(""), Ok(RelaySettings::default()));
    }

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        assert_eq!(read("relay_calls = 0"), Err(RelayError::Calls("--relay-calls")));
        assert_eq!(read("relay_calls_per_peer = 10001"), Err(RelayError::Calls("--relay-calls-per-peer")));
        assert_eq!(read("relay_bytes_per_second = 999"), Err(RelayError::Bytes("--relay-bytes-per-second")));
        assert_eq!(read("relay_idle = '1ms'"), Err(RelayError::Idle));
        assert!(toml::from_str::<FileConfig>("relay_idle = 'soon'").is_err());
        assert!(toml::from_str::<FileConfig>("relay = 'maybe'").is_err());
    }
}
