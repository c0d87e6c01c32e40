//! PostgreSQL as the store's engine: sessions, and lanes beside each other, each of which commits what waits for it together.
//!
//! What always holds: nothing is answered as done before a commit that reached as many disks as the servers are configured for; a
//! commit of which that is not known is found out about, or is an error that says so, and never a success.

mod address;
mod connect;
mod error;
mod job;
mod lane;
mod lanes;
mod schema;
mod session;
mod sessions;
mod tls;
mod value;

use std::time::Duration;

pub use address::{Address, Secrets, Server};
pub use connect::Durability;
pub use error::PostgresError;
pub use lanes::{LaneThreads, Lanes};
pub use schema::PostgresSchema;
pub(crate) use session::Prepared;
pub use session::{Session, off_the_runtime};
pub use sessions::Sessions;

/// For this time what passes is tried again: a server that takes over from another one is there by then.
const TRIED_AGAIN: Duration = Duration::from_secs(25);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
