//! The real programs together: `dosd`, `peerd` and `dosctl` as processes, on files and sockets, killed at will.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

mod abuse;
mod adding;
mod attack;
mod campaign;
mod control;
mod cutter;
mod disk;
mod earlier;
mod escrow;
mod exact;
mod healing;
mod history;
mod kills;
mod looking;
mod manager;
mod messages;
mod model;
mod names;
mod netns;
mod newer;
mod operations;
mod page;
mod passwords;
mod pictures;
mod powercut;
mod presence;
mod proxy;
mod reach;
mod rights;
mod scripting;
mod stage;
mod story;
mod transfers;
mod trust;
mod watching;
