//! What an operator sees of one peer, of the bans, and of what operators have done.

use serde::{Deserialize, Serialize};

use super::Registered;
use crate::{id::PeerId, key::PublicKey, model::Address, name::PeerName, time::Timestamp};

/// Everything that the directory knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// As in the list of peers.
    pub peer: Registered,
    /// Its key.
    pub key: PublicKey,
    /// Where others may reach it, the likeliest first, while it is online.
    pub addresses: Vec<Address>,
    /// Whether something is kept for a password.
    pub password: bool,
    /// Images that it has published.
    pub images: u64,
    /// Bytes of their previews.
    pub preview_bytes: u64,
    /// Bytes of its rows: images, grants that it has given, requests that it has made.
    pub row_bytes: u64,
    /// Grants that it has given and that are not revoked.
    pub grants_given: u64,
    /// Grants that it has received and that are not revoked.
    pub grants_received: u64,
    /// Requests to it and of it that wait for an answer.
    pub requests: u64,
    /// Bytes of the updates that wait for it.
    pub inbox_bytes: u64,
    /// Bytes that it has waiting for others.
    pub sent_bytes: u64,
}

/// A key that may not register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The ID that it had.
    pub peer: PeerId,
    /// The name that it had.
    pub name: Option<PeerName>,
    /// The key.
    pub key: PublicKey,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<Box<str>>,
}

/// Something that an operator has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number.
    pub no: u64,
    /// When.
    pub at: Timestamp,
    /// The user of the system who gave the command.
    pub user: u32,
    /// The command.
    pub command: Box<str>,
    /// What it was about, with IDs and names of that moment.
    pub about: Box<str>,
    /// Why.
    pub reason: Option<Box<str>>,
}
