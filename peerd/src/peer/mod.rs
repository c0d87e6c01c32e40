//! Peer to peer: serving sealed copies to viewers, and fetching them from owners.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`dial`] calls an owner, [`fetch`] brings a copy here.

pub(crate) mod dial;
pub(crate) mod fetch;
mod intake;
pub(crate) mod listener;
pub(crate) mod serve;

#[cfg(test)]
mod tests;
