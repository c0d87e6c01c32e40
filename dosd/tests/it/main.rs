//! The directory over its real port, with real TLS and a real store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abuse;
mod attack;
mod blocks;
mod care;
mod commands;
mod crowd;
mod full_disk;
mod healing;
mod inbox;
mod limits;
mod manager;
mod messages;
mod names;
mod net;
mod nodes;
mod operator;
mod passwords;
mod postgres;
mod presence;
mod private;
mod programs;
mod registration;
mod relay;
mod relearning;
mod rendezvous;
mod requests;
mod rights;
mod settings;
mod shelf;
mod subscribe;
