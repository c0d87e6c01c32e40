//! Why PostgreSQL did not do something, and whether it may when it is asked again.

use std::{error::Error as _, io, sync::Arc, time::Duration};

use tokio_postgres::error::{Severity, SqlState};

/// Why PostgreSQL did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PostgresError {
    /// The address of the servers cannot be read. The text has no password: an address with one is refused before.
    #[error("the address of the store cannot be used: {0}")]
    Address(Box<str>),
    /// TLS cannot be set up.
    #[error("cannot set up TLS to the database server")]
    Tls(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// There is nothing in the file of authorities.
    #[error("no certificate is in the file of the database servers' authority")]
    NoAuthority,
    /// None of the servers takes writes.
    #[error("no database server takes writes")]
    NoPrimary(#[source] Option<Box<PostgresError>>),
    /// This one does not.
    #[error("the database server at {0} is a standby")]
    Standby(Box<str>),
    /// It cannot be connected to.
    #[error("cannot connect to the database server at {0}")]
    Connect(Box<str>, #[source] Box<PostgresError>),
    /// It said nothing in time.
    #[error("the database server did not answer within {seconds} s", seconds = .0.as_secs())]
    Silent(Duration),
    /// It refused, or the connection to it was lost.
    #[error("the database server failed")]
    Server(#[source] Arc<tokio_postgres::Error>),
    /// It has committed with a warning: perhaps on its own disk alone.
    #[error("the database server has committed with a warning: {0}")]
    Warned(Box<str>),
    /// There is no runtime for the connection.
    #[error("cannot start a connection")]
    Runtime(#[source] Arc<io::Error>),
    /// The connection is lost.
    #[error("the connection to the database server is lost")]
    Lost,
    /// No connection became free in time.
    #[error("all connections to the database server are in use")]
    Busy,
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(Arc::new(error))
    }
}

impl PostgresError {
    /// Whether the same operation may succeed when it is tried again: the connection was lost, the server stops or has become a
    /// standby, or two transactions stood in each other's way.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoPrimary(_)
            | Self::Standby(_)
            | Self::Connect(..)
            | Self::Silent(_)
            | Self::Warned(_)
            | Self::Lost
            | Self::Busy => true,
            Self::Server(error) => match error.as_db_error() {
                None => is_of_the_line(error),
                Some(told) => {
                    let is_fatal = matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
                    is_fatal || PASSING.contains(told.code()) || told.code().code().starts_with("08")
                }
            },
            Self::Address(_) | Self::Tls(_) | Self::NoAuthority | Self::Runtime(_) => false,
        }
    }

    /// Whether the server's disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.has_code(&SqlState::DISK_FULL)
    }

    pub(super) fn has_code(&self, code: &SqlState) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(code))
    }
}

/// Whether the connection failed, and not what was sent over it.
fn is_of_the_line(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<io::Error>())
}

/// States of SQL that pass.
const PASSING: [SqlState; 10] = [
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::T_R_SERIALIZATION_FAILURE,
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::LOCK_NOT_AVAILABLE,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::QUERY_CANCELED,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
];
