//! Peer to peer: serving sealed copies to viewers, fetching them from owners, and direct messages.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`callers`] tells who it is. [`dial`] calls another peer, at its
//! addresses ([`race`]) or through the directory ([`relay`]); [`message`] brings a message there, [`fetch`] brings a copy here:
//! [`receive`] reads its bytes, [`intake`] keeps and verifies them, [`window`] says how far the owner may send. [`traffic`]
//! bounds transfers in both directions; [`addresses`] tells where others reach this daemon.

pub(crate) mod addresses;
pub(crate) mod callers;
pub(crate) mod dial;
pub(crate) mod fetch;
mod intake;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod ping;
mod race;
mod receive;
pub(crate) mod relay;
pub(crate) mod serve;
pub(crate) mod traffic;
mod window;

use dos_protocol::{
    PeerId, WireError,
    directory::{Answer, Contact, Op},
};

use crate::{Core, upstream::unexpected};

/// What it takes to connect to a peer, as the directory knows it now.
///
/// # Errors
/// `not_found`; `offline` without a session.
pub(crate) async fn contact(core: &Core, peer: PeerId) -> Result<Contact, WireError> {
    match core.upstream.request(Op::Contact(peer)).await? {
        Answer::Contact(contact) => Ok(contact),
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests;
