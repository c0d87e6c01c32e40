//! Coming online: registering and signing in.

use serde::{Deserialize, Serialize};

use super::{DataState, PeerState};
use crate::{
    id::{Instance, PeerId, Seq},
    link::HostPort,
    model::{Address, PreviewSize},
    name::PeerName,
    password::Password,
    sealing::SealingKey,
    time::Timestamp,
};

/// See [`super::Op::Register`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// The name wanted, if any.
    pub name: Option<PeerName>,
    /// The invite, where the directory wants one.
    pub invite: Option<Box<str>>,
    /// Of peers of the first release: refused, because the directory would see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// As in [`SignIn`].
    pub sign_in: SignIn,
}

/// See [`super::Op::SignIn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignIn {
    /// This run of the daemon.
    pub instance: Instance,
    /// The port on which it listens for other peers; together with the address that the directory sees, that is where
    /// it is reached. 0 if no other peer can reach it: then `addresses` is empty too, and only the relay leads to it.
    pub port: u16,
    /// Further addresses at which it can be reached, at most [`crate::limits::ADDRESSES_MAX`].
    pub addresses: Vec<Address>,
    /// Takes over from another live session of the same ID.
    pub force: bool,
    /// The last update that it has stored: the directory may forget those up to it.
    pub stored: Seq,
    /// The key to which messages to this peer are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealing: Option<Box<SealingKey>>,
    /// What it knows of its own state and of the directory's; nothing of a peer of the first releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PeerState>,
    /// Whether it takes part in a rendezvous, from the port of this connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rendezvous: bool,
}

/// See [`super::Op::Recover`]: of peers of the first release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recover {
    /// The name of the peer whose ID is recovered.
    pub name: PeerName,
    /// Its password.
    pub password: Password,
    /// As in [`super::Op::SignIn`]; another live session of the ID always loses.
    pub sign_in: SignIn,
}

/// See [`super::Answer::SignedIn`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The peer's ID.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// Where the directory tells others to reach it.
    pub address: Address,
    /// Updates after this one are sent. It is the one that the peer has stored, or a later one if the directory was told
    /// that later ones are stored and has forgotten them: then the peer has lost some of its own state.
    pub since: Seq,
    /// The last update in its inbox: when it has come, the replay is over.
    pub latest: Seq,
    /// Whether the directory recognises a change that is asked again by its operation ID. One of the first release does
    /// not, and would do the change twice.
    #[serde(default)]
    pub operations: bool,
    /// Whether the directory passes on sealed messages and signed images.
    #[serde(default)]
    pub trust: bool,
    /// The peer had a password that the directory has no more (an older one kept it in another form, or the operator has
    /// cleared it): it has to be set once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub password_again: bool,
    /// What time it is at the directory, by whose clock grants expire. One of the first release does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
    /// The age of both sides' data; nothing of a directory of the first releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataState>,
    /// The addresses of all nodes of the directory, where it has several: any of them will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<HostPort>,
    /// Where the directory sees this connection come from, if it arranges a rendezvous with this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<Address>,
    /// Up to which size the directory keeps previews.
    #[serde(default, skip_serializing_if = "PreviewSize::is_usual")]
    pub previews: PreviewSize,
}
