//! What peerd decides about what it stores: pure functions of a state, a change and a time.
//!
//! What always holds: nothing here reads a clock, a socket, a file or a database, and nothing awaits. The store loads a state,
//! calls one of these, and saves what it answers, all in one transaction; so the decisions can be tested as tables, and are
//! (`cargo xtask mutants` changes each of them and expects a test to fail).

pub(crate) mod advice;
pub(crate) mod cache;
pub(crate) mod callers;
pub(crate) mod clock;
pub(crate) mod contacts;
pub(crate) mod grants;
pub(crate) mod invitations;
pub(crate) mod meeting;
pub(crate) mod messages;
pub(crate) mod names;
pub(crate) mod news;
pub(crate) mod notes;
pub(crate) mod notifying;
pub(crate) mod pages;
pub(crate) mod passwords;
pub(crate) mod reach;
pub(crate) mod reconcile;
pub(crate) mod repeats;
pub(crate) mod requests;
pub(crate) mod retry;
pub(crate) mod spend;
pub(crate) mod strangers;
pub(crate) mod trust;
pub(crate) mod updates;
pub(crate) mod views;

#[cfg(test)]
pub(crate) mod samples;
