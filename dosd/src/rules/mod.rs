//! The decisions: what a change makes of the state, what it makes the directory owe to peers, or why it is refused.
//!
//! Everything here is a function of its arguments. The store loads the state, calls a rule, and saves what comes out, in one
//! transaction. No SQL, no clock, no lock and nothing that waits, so that every decision can be tested as a table.

pub(crate) mod addresses;
pub(crate) mod blocks;
pub(crate) mod grants;
pub(crate) mod greetings;
pub(crate) mod healing;
pub(crate) mod identity;
pub(crate) mod inbox;
pub(crate) mod incarnation;
pub(crate) mod invites;
pub(crate) mod lockout;
pub(crate) mod messages;
pub(crate) mod names;
pub(crate) mod operator;
pub(crate) mod publish;
pub(crate) mod quota;
pub(crate) mod refusal;
pub(crate) mod relay;
pub(crate) mod rendezvous;
pub(crate) mod requests;
pub(crate) mod room;
pub(crate) mod seats;
pub(crate) mod views;
pub(crate) mod visibility;

use dos_protocol::{PeerId, directory::Update};

pub use addresses::Reach;
pub use blocks::{BlockChange, across::Act};
pub use inbox::Cause;
pub use invites::Admission;
pub use quota::{Bound, Level, Quotas, Space};
pub use seats::{Claim, Displaced};
pub use visibility::Wanted;

/// An update that a change makes the directory owe to a peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owe {
    pub(crate) peer: PeerId,
    pub(crate) update: Update,
    /// The peer that caused it and how, if it takes a share of the inbox that is that peer's.
    pub(crate) cause: Option<(PeerId, Cause)>,
}

impl Owe {
    pub(crate) fn to(peer: PeerId, update: Update) -> Self {
        Self { peer, update, cause: None }
    }

    pub(crate) fn caused_by(self, sender: PeerId, cause: Cause) -> Self {
        Self { cause: Some((sender, cause)), ..self }
    }
}

/// What a rule has decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided<S, A> {
    /// To be saved.
    pub(crate) state: S,
    /// For the caller.
    pub(crate) answer: A,
    /// In the order in which it is owed.
    pub(crate) owed: Vec<Owe>,
}

#[cfg(test)]
pub(crate) mod samples;
