//! What is known of a network, and of the ways to a peer.

use dos_protocol::{
    PeerId, PeerName,
    control::{self, Advice, How, Means, SessionState},
    model::Address,
};
use serde::Serialize;

use crate::output::words::{millis, nat};

/// Of `netcheck`.
#[derive(Debug, Serialize)]
pub(crate) struct Netcheck<'a> {
    state: SessionState,
    directory: Option<Address>,
    /// There and back to the directory, in milliseconds.
    round_trip_ms: Option<f64>,
    listen: Address,
    reachable: bool,
    announced: &'a [Address],
    local: Option<Address>,
    seen: Option<Address>,
    nat: Option<&'static str>,
    mapped: Option<Address>,
    mapping_trouble: Option<&'a str>,
    pinhole: Option<Address>,
    advice: Vec<&'static str>,
}

impl<'a> From<&'a control::Netcheck> for Netcheck<'a> {
    fn from(check: &'a control::Netcheck) -> Self {
        Self {
            state: check.state,
            directory: check.directory,
            round_trip_ms: check.round_trip_us.map(millis),
            listen: check.listen,
            reachable: check.reachable,
            announced: &check.announced,
            local: check.local,
            seen: check.seen,
            nat: nat(check),
            mapped: check.mapped,
            mapping_trouble: check.mapping_trouble.as_deref(),
            pinhole: check.pinhole,
            advice: check.advice.iter().copied().map(Advice::as_str).collect(),
        }
    }
}

/// Of `ping --explain`.
#[derive(Debug, Serialize)]
pub(crate) struct Explained<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
    online: bool,
    round_trip_ms: Option<f64>,
    tried: Vec<Tried<'a>>,
    here: Netcheck<'a>,
    advice: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Tried<'a> {
    means: Option<&'static str>,
    address: Option<Address>,
    how: Option<&'static str>,
    took_ms: f64,
    error: Option<&'a str>,
    bad: Option<BadWay<'a>>,
}

#[derive(Debug, Serialize)]
struct BadWay<'a> {
    why: &'a str,
    left_s: u64,
}

impl<'a> From<&'a control::Explained> for Explained<'a> {
    fn from(explained: &'a control::Explained) -> Self {
        let tried = explained.tried.iter().map(|tried| Tried {
            means: tried.means.map(Means::as_str),
            address: tried.address,
            how: tried.how.map(How::as_str),
            took_ms: millis(tried.took_us),
            error: tried.error.as_deref(),
            bad: tried.bad.as_ref().map(|bad| BadWay { why: &bad.why, left_s: bad.left_s }),
        });
        Self {
            id: explained.id,
            name: explained.name.as_ref(),
            online: explained.online,
            round_trip_ms: explained.round_trip_us.map(millis),
            tried: tried.collect(),
            here: (&explained.here).into(),
            advice: explained.advice.iter().copied().map(Advice::as_str).collect(),
        }
    }
}
