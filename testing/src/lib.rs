//! What the tests, the demo and the benchmark share: waiting for what other processes do, children that end with their handle,
//! tests that cannot run everywhere, sockets in a network namespace, and how large attacks are.
//!
//! No program depends on this crate.

pub mod attack;
mod child;
#[cfg(feature = "cluster")]
pub mod cluster;
mod files;
mod namespace;
mod needs;
#[cfg(feature = "postgres")]
mod postgres;
mod wait;

pub use child::Guarded;
pub use files::files_with;
pub use namespace::within;
pub use needs::{has_program, skipped};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, REQUIRED, Secured};
pub use rustix::process::Signal;
pub use wait::{Backoff, PATIENCE, wait_until};
#[cfg(feature = "async")]
pub use wait::{wait_until_async, wait_until_seen};
