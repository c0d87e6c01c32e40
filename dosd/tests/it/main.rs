//! The directory over its real port, with real TLS and a real store.

mod abuse;
mod inbox;
mod net;
mod presence;
mod requests;
mod rights;
mod shelf;
