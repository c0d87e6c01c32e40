//! What the operator's commands and the running directory say to each other, over a local socket in its data directory.

use serde::{Deserialize, Serialize};

use crate::{error::WireError, link::JoinLink};

/// From an operator's command: one request per connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToDosd {
    /// The join link.
    Link,
}

/// From the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromDosd {
    /// The join link.
    Link(JoinLink),
    /// Refused.
    Failed(WireError),
}

/// The name of the socket in the data directory.
pub const SOCKET_NAME: &str = "admin.sock";
