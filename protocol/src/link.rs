//! Join links: `dos://SERVERKEY@HOST:PORT[,HOST:PORT]...[?invite=CODE]`. Whoever has the link cannot be fooled by another server.
//!
//! A directory of several nodes has several addresses, any of which will do.
//!
//! One that a peer has made for a person says more ([`crate::invitation`]):
//! `dos://SERVERKEY@HOST:PORT?invite=CODE+from=ID@KEY+name=NAME+for=NAME#SECRET`. No character of it means anything to a shell.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    invitation::{self, Invitation, SecretError},
    key::PublicKey,
};

/// A link with the longest host, code and names has less.
const LINK_BYTES_MAX: usize = 2048;

/// Addresses of one directory in a link. A peer that has signed in knows all of its nodes, however many there are.
pub const NODES_MAX: usize = 16;

/// Why a text is not a join link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Another scheme, or none.
    #[error("a join link begins with \"dos://\"")]
    Scheme,
    /// No `@`, or what stands before it is not a key.
    #[error("the join link has no valid server key before the '@'")]
    Key,
    /// No host, or no port.
    #[error("the join link needs HOST:PORT after the '@'")]
    Address,
    /// Something after the `?` that is not `invite=CODE`, nor what else is known.
    #[error("the join link has an unknown part after its address")]
    Query,
    /// Its end does not belong to the rest.
    #[error("the join link was not copied whole, or was changed")]
    Damaged,
}

impl From<SecretError> for LinkError {
    fn from(_: SecretError) -> Self {
        Self::Damaged
    }
}

/// Where a node of a directory is: `HOST:PORT`, text everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A host name or an address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for HostPort {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (host, port) = split_host_port(text)?;
        Ok(Self { host: host.into(), port })
    }
}

impl Serialize for HostPort {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("HOST:PORT"))
    }
}

/// Where a directory is, and the key by which it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLink {
    /// The directory's public key.
    pub key: PublicKey,
    /// A host name or an address; an IPv6 address without brackets.
    pub host: Box<str>,
    /// The TCP port.
    pub port: u16,
    /// Further addresses of the directory, at most [`NODES_MAX`] with the first.
    pub others: Vec<HostPort>,
    /// What the directory wants to see from new peers, if anything.
    pub invite: Option<Box<str>>,
    /// Who invites, in a link that a peer has made.
    pub invitation: Option<Box<Invitation>>,
}

impl JoinLink {
    /// Where the directory is, and nothing that lets anyone in.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { invite: None, invitation: None, ..self }
    }

    /// The first `HOST:PORT`, with brackets around an IPv6 address.
    #[must_use]
    pub fn address(&self) -> String {
        self.first().to_string()
    }

    fn first(&self) -> HostPort {
        HostPort { host: self.host.clone(), port: self.port }
    }

    /// All addresses, the first one first.
    pub fn addresses(&self) -> impl Iterator<Item = HostPort> + '_ {
        std::iter::once(self.first()).chain(self.others.iter().cloned())
    }

    /// The same with these addresses, as far as there are any: each once, at most [`NODES_MAX`].
    #[must_use]
    pub fn at(mut self, addresses: impl IntoIterator<Item = HostPort>) -> Self {
        let mut all: Vec<HostPort> = Vec::new();
        for address in addresses {
            if all.len() < NODES_MAX && !all.contains(&address) {
                all.push(address);
            }
        }
        if !all.is_empty() {
            let first = all.remove(0);
            (self.host, self.port, self.others) = (first.host, first.port, all);
        }
        self
    }
}

/// Splits `HOST:PORT` (`[V6]:PORT`), as it stands in a link or in `--advertise`.
///
/// # Errors
/// [`LinkError::Address`] if either is missing or cannot be one.
pub fn split_host_port(text: &str) -> Result<(&str, u16), LinkError> {
    let (host, port) = text.rsplit_once(':').ok_or(LinkError::Address)?;
    let port: u16 = port.parse().map_err(|_| LinkError::Address)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    if valid && port != 0 { Ok((bare.unwrap_or(host), port)) } else { Err(LinkError::Address) }
}

impl FromStr for JoinLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let rest = text.strip_prefix("dos://").ok_or(LinkError::Scheme)?;
        if text.len() > LINK_BYTES_MAX {
            return Err(LinkError::Query);
        }
        let (whole, fragment) = text.split_once('#').map_or((text, None), |(whole, end)| (whole, Some(end)));
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (key, rest) = rest.split_once('@').ok_or(LinkError::Key)?;
        let key = key.parse().map_err(|_| LinkError::Key)?;
        let (address, query) = rest.split_once('?').map_or((rest, None), |(a, q)| (a, Some(q)));
        let mut addresses =
            address.strip_suffix('/').unwrap_or(address).split(',').map(str::parse::<HostPort>);
        let HostPort { host, port } = addresses.next().ok_or(LinkError::Address)??;
        let others = addresses.collect::<Result<Vec<_>, _>>()?;
        if others.len() >= NODES_MAX {
            return Err(LinkError::Address);
        }
        let (invite, invitation) = match query {
            None if fragment.is_some() => return Err(LinkError::Query),
            None => (None, None),
            Some(query) => invitation::read(query, (whole, fragment)).ok_or(LinkError::Query)??,
        };
        Ok(Self { key, host, port, others, invite, invitation })
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("dos://{}@{}", self.key, self.address());
        for other in &self.others {
            text.push(',');
            text.push_str(&other.to_string());
        }
        let query = invitation::query(self.invite.as_deref(), self.invitation.as_deref());
        if !query.is_empty() {
            text.push('?');
            text.push_str(&query);
        }
        f.write_str(&text)?;
        match &self.invitation {
            Some(invitation) => write!(f, "#{}", *invitation.secret.fragment(&text)),
            None => Ok(()),
        }
    }
}

impl Serialize for JoinLink {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JoinLink {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("a join link"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> String {
        PublicKey::from([9; 32]).to_string()
    }

    #[test]
    fn links_read_what_they_print() {
        for rest in [
            "example.org:5001",
            "127.0.0.1:1",
            "[::1]:5001",
            "h:5001?invite=Ab3",
            "a.example:5001,b.example:5002,[2001:db8::3]:5003?invite=Ab3",
        ] {
            let text = format!("dos://{}@{rest}", key());
            assert_eq!(text.parse::<JoinLink>().map(|link| link.to_string()), Ok(text));
        }
    }

    #[test]
    fn what_is_not_a_link_is_refused_with_the_reason() {
        let key = key();
        for (text, why) in [
            (format!("http://{key}@h:1"), LinkError::Scheme),
            ("dos://short@h:1".into(), LinkError::Key),
            (format!("dos://{key}"), LinkError::Key),
            (format!("dos://{key}@h"), LinkError::Address),
            (format!("dos://{key}@h:0"), LinkError::Address),
            (format!("dos://{key}@:5"), LinkError::Address),
            (format!("dos://{key}@h:99999"), LinkError::Address),
            (format!("dos://{key}@a b:5"), LinkError::Address),
            (format!("dos://{key}@a:5,"), LinkError::Address),
            (format!("dos://{key}@a:5,b"), LinkError::Address),
            (format!("dos://{key}@{}a:1", "a:1,".repeat(NODES_MAX)), LinkError::Address),
            (format!("dos://{key}@h:5?x=1"), LinkError::Query),
            (format!("dos://{key}@h:5?invite="), LinkError::Query),
            (format!("dos://{key}@h:5?"), LinkError::Query),
            (format!("dos://{key}@h:5?invite=a+invite=b"), LinkError::Query),
            (format!("dos://{key}@h:5?invite=a#x"), LinkError::Query),
            (format!("dos://{key}@h:5#x"), LinkError::Query),
            (format!("dos://{key}@h:5?invite={}", "x".repeat(3_000)), LinkError::Query),
        ] {
            assert_eq!(text.parse::<JoinLink>(), Err(why), "{text}");
        }
    }
}
