//! What a daemon needs that has nothing to do with what it serves: its settings, its log, its service manager, its
//! limits, and a page for monitoring.
//!
//! - [`mod@settings`]: where a setting is declared; [`config`]: the configuration file.
//! - [`listen`]: opening a port.
//! - [`log`]: the log on standard error, for a terminal, a file or the journal.
//! - [`process`]: the runtime and the signals; [`reload`]: what SIGHUP does.
//! - [`files`]: how many files may be open.
//! - [`dir`]: the directory that a daemon keeps everything in.
//! - [`manager`], [`notify`]: what the service manager is told: ready, reloading, stopping, the state in one line.
//! - [`watchdog`]: the sign of life that the service manager expects.
//! - [`activation`]: the listening socket that it passes.
//! - [`http`]: metrics, health and readiness.
//! - [`rate`]: rate limits. [`admission`]: how many connections there may be that have not proved who they are; [`network`]:
//!   what counts as one host.
//!
//! Without a service manager, what is for it does nothing. Nothing here knows dos.

pub mod activation;
pub mod admission;
pub mod config;
pub mod dir;
pub mod files;
pub mod http;
pub mod listen;
pub mod log;
pub mod manager;
pub mod network;
pub mod notify;
pub mod process;
pub mod rate;
pub mod reload;
pub mod settings;
pub mod watchdog;
