//! Finding the server that takes writes, among several.
//!
//! All are tried at once, since a server that is stopped goes on accepting connections and would hold up those after it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::poll_fn};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, error::Severity};

use super::{PostgresError, Server, address::OneHost, tls::Tls};

/// For TCP, TLS, the log-in, and the question whether the server takes writes.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// Of every session. A lock that is waited for longer than an operation may take is not waited for; a transaction whose client has
/// gone does not hold its locks for others until the network notices.
const SETTINGS: &str = "SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '10s';
    SET client_connection_check_interval = '1s'; SET tcp_user_timeout = '3s'; SET client_min_messages = 'warning'";

/// How many disks a commit reaches before it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// `fsync`: off, a crash of the machine loses what was confirmed.
    pub fsync: bool,
    /// `synchronous_commit`.
    pub synchronous_commit: Box<str>,
    /// `synchronous_standby_names`: empty, only the primary has what was confirmed.
    pub standbys: Box<str>,
}

impl Durability {
    /// Whether what is confirmed is on this server's disk.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.fsync && &*self.synchronous_commit != "off"
    }

    /// Whether it is on another server's too.
    #[must_use]
    pub fn is_on_two(&self) -> bool {
        let waits = matches!(&*self.synchronous_commit, "on" | "remote_apply");
        self.fsync && waits && !self.standbys.is_empty()
    }
}

/// What the server says beside its answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Notices(Arc<Mutex<Option<Box<str>>>>);

impl Notices {
    pub(super) fn clear(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn warning(&self) -> Option<Box<str>> {
        self.0.lock().take()
    }
}

/// A connection to the server that takes writes.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) notices: Notices,
    pub(super) durability: Durability,
    pub(super) host: Box<str>,
}

impl Server {
    /// Connects to the first server that takes writes.
    pub(super) async fn connect(&self) -> Result<Connected, PostgresError> {
        let mut attempts = JoinSet::new();
        for at in 0..self.hosts.len() {
            let (hosts, tls) = (Arc::clone(&self.hosts), self.tls.clone());
            attempts.spawn(async move {
                let Some(host) = hosts.get(at) else { return Err(PostgresError::Lost) };
                let connected = timeout(CONNECT_TIME_MAX, writable(host, tls)).await;
                connected.unwrap_or(Err(PostgresError::Silent(CONNECT_TIME_MAX))).map_err(|error| match error
                {
                    standby @ PostgresError::Standby(_) => standby,
                    error => PostgresError::Connect(host.name.clone(), Box::new(error)),
                })
            });
        }
        let mut why = None;
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(connected)) => return Ok(connected),
                // Of several reasons the one is told that is no standby's.
                Ok(Err(error)) if why.is_none() || !matches!(error, PostgresError::Standby(_)) => {
                    why = Some(Box::new(error));
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(PostgresError::NoPrimary(why))
    }
}

async fn writable(host: &OneHost, tls: Option<Tls>) -> Result<Connected, PostgresError> {
    let notices = Notices::default();
    let client = match tls {
        Some(tls) => {
            let (client, connection) = host.config.connect(tls).await?;
            tokio::spawn(drive(connection, notices.clone()));
            client
        }
        None => {
            let (client, connection) = host.config.connect(NoTls).await?;
            tokio::spawn(drive(connection, notices.clone()));
            client
        }
    };
    let sql = "SELECT current_setting('transaction_read_only'), current_setting('fsync'),
                      current_setting('synchronous_commit'), current_setting('synchronous_standby_names')";
    let row = client.query_one(sql, &[]).await?;
    if row.try_get::<_, &str>(0)? == "on" {
        return Err(PostgresError::Standby(host.name.clone()));
    }
    let durability = Durability {
        fsync: row.try_get::<_, &str>(1)? == "on",
        synchronous_commit: row.try_get::<_, &str>(2)?.into(),
        standbys: row.try_get::<_, &str>(3)?.into(),
    };
    client.batch_execute(SETTINGS).await?;
    Ok(Connected { client, notices, durability, host: host.name.clone() })
}

/// Moves what is sent and answered, and keeps the last warning: one is there before the answer that it belongs to.
async fn drive<S, T>(mut connection: Connection<S, T>, notices: Notices)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut messages = poll_fn(move |context| connection.poll_message(context));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                *notices.0.lock() = Some(notice.message().into());
            }
            Ok(_) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "a connection to the database server has ended");
                return;
            }
        }
    }
}
