//! Peer to peer: serving sealed copies to viewers, fetching them from owners, and direct messages.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`callers`] tells who it is; [`dial`] calls a peer, [`message`]
//! brings a message there, [`fetch`] brings a copy here: [`receive`] reads its bytes, [`intake`] keeps and verifies them,
//! [`window`] says how far the owner may send. [`traffic`] bounds transfers in both directions.

pub(crate) mod callers;
pub(crate) mod dial;
pub(crate) mod fetch;
mod intake;
pub(crate) mod listener;
pub(crate) mod message;
mod receive;
pub(crate) mod serve;
pub(crate) mod traffic;
mod window;

#[cfg(test)]
mod tests;
