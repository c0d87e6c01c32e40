//! Where the database servers are, and what proves them and us.

use std::{fmt, sync::Arc, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{PostgresError, tls::Tls};

/// Data that the other side does not acknowledge for this time shows a lost network.
const UNACKNOWLEDGED_TIME_MAX: Duration = Duration::from_secs(3);

/// An address `postgres://USER@HOST1,HOST2:5433/DATABASE`, without a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: Box<str>,
    parsed: Config,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Address {
    type Err = PostgresError;

    fn from_str(text: &str) -> Result<Self, PostgresError> {
        let refused = |why: &str| PostgresError::Address(why.into());
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(refused("it begins with postgres://"));
        }
        let parsed: Config = text.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            refused(&cause.unwrap_or_else(|| error.to_string()))
        })?;
        if parsed.get_password().is_some() {
            return Err(refused("a password belongs into a file of its own"));
        }
        if parsed.get_hosts().is_empty() {
            return Err(refused("it names no host"));
        }
        if parsed.get_ports().len() > 1 && parsed.get_ports().len() != parsed.get_hosts().len() {
            return Err(refused("it has another number of ports than of hosts"));
        }
        if parsed.get_dbname().is_none() {
            return Err(refused("it names no database"));
        }
        Ok(Self { text: text.into(), parsed })
    }
}

/// What proves the two sides to each other. Never shown.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The password of the user.
    pub password: Option<Box<str>>,
    /// The certificates (PEM) of the authority that has signed those of the servers.
    pub authority: Option<Box<[u8]>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// The database, on one server or several.
#[derive(Clone)]
pub struct Server {
    pub(super) hosts: Arc<[OneHost]>,
    pub(super) tls: Option<Tls>,
}

/// One of the servers.
pub(super) struct OneHost {
    /// As it is named in errors.
    pub(super) name: Box<str>,
    pub(super) config: Config,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There may be a password.
        f.debug_struct("Server").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Server {
    /// The servers at this address. Without an authority only those on this machine are spoken to, unless the address says
    /// `?sslmode=disable`.
    ///
    /// # Errors
    /// [`PostgresError::Address`] if a server would be spoken to in the clear; [`PostgresError::Tls`] or
    /// [`PostgresError::NoAuthority`] if the authority cannot be used.
    pub fn new(address: &Address, secrets: &Secrets) -> Result<Self, PostgresError> {
        let all = &address.parsed;
        let tls = secrets.authority.as_deref().map(Tls::trusting).transpose()?;
        let is_clear = tls.is_none() && all.get_ssl_mode() != SslMode::Disable;
        let hosts = all.get_hosts().iter().enumerate().map(|(at, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            if is_clear && !is_on_this_machine(host) {
                let why = format!("{name} is another machine: give --store-ca, or ?sslmode=disable if nobody can listen between");
                return Err(PostgresError::Address(why.into()));
            }
            let is_tls = tls.is_some() && matches!(host, Host::Tcp(_));
            let config = one(all, (at, host), (secrets, is_tls));
            Ok(OneHost { name: name.into(), config })
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { hosts: hosts.into(), tls })
    }
}

fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

fn one(all: &Config, (at, host): (usize, &Host), (secrets, is_tls): (&Secrets, bool)) -> Config {
    let mut config = Config::new();
    match host {
        Host::Tcp(name) => config.host(name),
        Host::Unix(path) => config.host_path(path),
    };
    // One port stands for all hosts.
    if let Some(port) = all.get_ports().get(at).or_else(|| all.get_ports().first()) {
        config.port(*port);
    }
    if let Some(user) = all.get_user() {
        config.user(user);
    }
    if let Some(password) = &secrets.password {
        config.password(&**password);
    }
    if let Some(name) = all.get_dbname() {
        config.dbname(name);
    }
    config.ssl_mode(if is_tls { SslMode::Require } else { SslMode::Disable });
    config.application_name("dosd").tcp_user_timeout(UNACKNOWLEDGED_TIME_MAX);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_hosts_and_a_database_and_no_password() {
        for (text, hosts) in [
            ("postgres://dosd@db1,db2:5433,db3/dosd", None),
            ("postgres://dosd@db1:5432,db2:5433/dosd?sslmode=disable", Some(2)),
            ("postgres://dosd@localhost/dosd", Some(1)),
            ("postgres://dosd@127.0.0.1,[::1]/dosd", Some(2)),
            ("postgresql://dosd@%2Frun%2Fpostgresql/dosd", Some(1)),
            ("postgres://dosd:secret@localhost/dosd", None),
            ("postgres://dosd@localhost", None),
            ("postgres:///dosd", None),
            ("postgres://dosd@db1,localhost/dosd", None),
            ("mysql://dosd@localhost/dosd", None),
            ("dosd.db", None),
        ] {
            let server =
                text.parse::<Address>().and_then(|address| Server::new(&address, &Secrets::default()));
            assert_eq!(server.as_ref().ok().map(|server| server.hosts.len()), hosts, "{text}: {server:?}");
            if let Err(error) = server {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
    }
}
