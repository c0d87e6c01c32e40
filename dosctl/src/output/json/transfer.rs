//! What came from another peer, or how long it takes to it, and which way.

use dos_protocol::{ImagePath, PeerId, PeerName, control, model::Address};
use serde::Serialize;

/// Of `fetch`.
#[derive(Debug, Serialize)]
pub(crate) struct Fetched<'a> {
    pub(crate) image: &'a ImagePath,
    /// The size of the sealed copy.
    pub(crate) bytes: u64,
    /// Which way it came; nothing if it was here already.
    #[serde(flatten)]
    pub(crate) way: Way,
    /// There and back on that way, in milliseconds.
    pub(crate) round_trip_ms: Option<f64>,
}

/// Of `fetch`, of several.
#[derive(Debug, Serialize)]
pub(crate) struct FetchedAll<'a> {
    /// The copies that are here.
    pub(crate) images: Vec<Fetched<'a>>,
    /// How many could not be fetched.
    pub(crate) failed: usize,
}

/// Of `ping`.
#[derive(Debug, Serialize)]
pub(crate) struct Pong<'a> {
    pub(crate) id: PeerId,
    pub(crate) name: Option<&'a PeerName>,
    /// Which way leads to it.
    #[serde(flatten)]
    pub(crate) way: Way,
    /// There and back, in milliseconds.
    pub(crate) round_trip_ms: f64,
    /// Of a direct way: `announced`, `punched` or `called_back`.
    pub(crate) how: Option<&'static str>,
}

/// Which way to a peer: `direct`, with the address, or `relayed`.
#[derive(Debug, Serialize)]
pub(crate) struct Way {
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

/// A line of `--progress`.
#[derive(Debug, Serialize)]
pub(crate) struct Progress {
    /// The only key of such a line besides the schema's, which tells it from the answer.
    pub(crate) progress: Transfer,
}

/// See [`Progress`].
#[derive(Debug, Serialize)]
pub(crate) struct Transfer {
    /// `adding`, `fetching` or `opening`.
    pub(crate) step: &'static str,
    /// Bytes transferred.
    pub(crate) done: u64,
    /// Bytes in all; `null` if that is not known.
    pub(crate) total: Option<u64>,
    /// Bytes a second since the step began.
    pub(crate) rate: u64,
    /// Milliseconds to go at that rate; `null` if that is not known.
    pub(crate) left_ms: Option<u64>,
}
