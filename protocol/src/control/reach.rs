//! What `ping --explain` and `netcheck` tell of a network: which ways were tried, what became of each, and what would help.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{How, SessionState};
use crate::{id::PeerId, kind::known_or_none, model::Address, name::PeerName};

/// A way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Means {
    /// An address at which it can be.
    Address,
    /// Both connect at one moment.
    Rendezvous,
    /// Through the directory.
    Relay,
}

impl Means {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A way that was tried to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Which; a newer daemon may know more.
    #[serde(default, deserialize_with = "known_or_none")]
    pub means: Option<Means>,
    /// Where to, or where the connection came from.
    pub address: Option<Address>,
    /// Of a rendezvous that has come about: by what.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    pub how: Option<How>,
    /// How long it took, with the proof of the peer's key, in microseconds.
    pub took_us: u64,
    /// Why it does not lead there; nothing if it does.
    pub error: Option<Box<str>>,
    /// Why it is left out for now, whatever came of it this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<BadWay>,
}

/// A way that brought nothing a while ago, and is used only where no other leads to the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadWay {
    /// What came of it.
    pub why: Box<str>,
    /// For how many more seconds it is left out.
    pub left_s: u64,
}

/// What a peerd knows of its own network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Netcheck {
    /// The session's state.
    pub state: SessionState,
    /// Where the directory is reached.
    pub directory: Option<Address>,
    /// There and back to it, in microseconds.
    pub round_trip_us: Option<u64>,
    /// Where this daemon listens.
    pub listen: Address,
    /// Whether others may connect.
    pub reachable: bool,
    /// What it announces.
    pub announced: Vec<Address>,
    /// From where its session comes, here.
    pub local: Option<Address>,
    /// From where the directory sees it come; nothing of one that arranges no rendezvous.
    pub seen: Option<Address>,
    /// What would help.
    pub advice: Vec<Advice>,
    /// Where its router forwards the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Address>,
    /// Why it does not, if it is asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_trouble: Option<Box<str>>,
    /// The IPv6 address of this host at which its router lets connections through because it was asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinhole: Option<Address>,
}

/// Of `ping --explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// Who.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Whether it has a session.
    pub online: bool,
    /// The ways, each tried to its end.
    pub tried: Vec<Tried>,
    /// There and back, in microseconds, on the best of those that lead there.
    pub round_trip_us: Option<u64>,
    /// This side.
    pub here: Netcheck,
    /// What would help.
    pub advice: Vec<Advice>,
}

/// What would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Advice {
    /// This daemon has no session.
    GoOnline,
    /// The other peer has none.
    WaitForPeer,
    /// Nothing: there is a direct way.
    Nothing,
    /// This daemon takes no connections.
    AllowConnections,
    /// Its router maps connections to ports by chance.
    ForwardPort,
    /// The directory arranges no rendezvous.
    UpdateDirectory,
    /// The other peer takes part in none: it is of an earlier release, or takes no connections.
    UpdatePeer,
    /// Both may be in one network, and a firewall is between them.
    OpenFirewall,
    /// One of the two has to be reached from outside.
    ForwardEither,
    /// The directory does not relay.
    RelayOff,
    /// A newer daemon knows more.
    #[serde(other)]
    Unknown,
}

impl Advice {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
