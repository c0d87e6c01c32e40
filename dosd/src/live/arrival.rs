//! Coming online: which session a peer keeps when two daemons claim its ID.

use dos_protocol::{
    Instance, PeerId, PeerName,
    directory::{Notice, NoticeKind},
};

use super::{notice, permit::Permit, session::Session};
use crate::rules::{
    Reach,
    seats::{self, Claim, Displaced},
};

/// A peer that comes online.
#[derive(Debug)]
pub struct Arrival {
    /// Which peer.
    pub peer: PeerId,
    /// The peer's name.
    pub name: Option<PeerName>,
    /// Which run of its daemon.
    pub instance: Instance,
    /// Where it is seen, and where others reach it.
    pub reach: Reach,
    /// What becomes of another daemon's session.
    pub claim: Claim,
    /// Its permit among the sessions of its address, where these are counted.
    pub permit: Option<Permit>,
}

/// Why a peer cannot come online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArrivalError {
    /// Another daemon is signed in as this peer, and was not to go.
    #[error("another daemon is signed in with this ID")]
    Taken,
}

/// Why `old` has to make room for `arrival`.
pub(super) fn take_over(old: &Session, arrival: &Arrival) -> Result<Displaced, ArrivalError> {
    seats::displace(old.instance, arrival.instance, arrival.claim).map_err(|_| ArrivalError::Taken)
}

/// The notice for a session that has to make room.
pub(super) fn farewell(displaced: Displaced) -> Notice {
    match displaced {
        Displaced::BySame => notice(NoticeKind::Superseded, "the same daemon has connected anew"),
        Displaced::ByOther => notice(NoticeKind::TakenOver, "another daemon has signed in with this ID"),
    }
}
