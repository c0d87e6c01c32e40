//! Peer to peer: serving sealed copies to viewers, and fetching them from owners.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`dial`] calls an owner, [`fetch`] brings a copy here:
//! [`receive`] reads its bytes, [`intake`] keeps and verifies them, [`window`] says how far the owner may send.
//! [`traffic`] bounds transfers in both directions.

pub(crate) mod dial;
pub(crate) mod fetch;
mod intake;
pub(crate) mod listener;
mod receive;
pub(crate) mod serve;
pub(crate) mod traffic;
mod window;

#[cfg(test)]
mod tests;
