//! What came from another peer, or how long it takes to it, and which way.

use dos_protocol::{ImagePath, PeerId, PeerName, control, model::Address};
use serde::Serialize;

/// Of `fetch`.
#[derive(Debug, Serialize)]
pub struct Fetched<'a> {
    /// Which image.
    pub image: &'a ImagePath,
    /// The size of the sealed copy.
    pub bytes: u64,
    /// Which way it came; nothing if it was here already.
    #[serde(flatten)]
    pub way: Way,
    /// There and back on that way, in milliseconds.
    pub round_trip_ms: Option<f64>,
}

/// Of `ping`.
#[derive(Debug, Serialize)]
pub struct Pong<'a> {
    /// Which peer.
    pub id: PeerId,
    /// Its name.
    pub name: Option<&'a PeerName>,
    /// Which way leads to it.
    #[serde(flatten)]
    pub way: Way,
    /// There and back, in milliseconds.
    pub round_trip_ms: f64,
}

/// Which way to a peer: `direct`, with the address, or `relayed`.
#[derive(Debug, Serialize)]
pub struct Way {
    way: Option<&'static str>,
    address: Option<Address>,
}

impl From<Option<control::Way>> for Way {
    fn from(way: Option<control::Way>) -> Self {
        match way {
            Some(control::Way::Direct(address)) => Self { way: Some("direct"), address: Some(address) },
            Some(control::Way::Relayed) => Self { way: Some("relayed"), address: None },
            None => Self { way: None, address: None },
        }
    }
}
