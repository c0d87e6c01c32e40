//! What still passes between two peers with a block between them: one table, by what a peer does and on which side of the block it is.
//!
//! Across a block nothing travels but what a grant that exists needs, and that only when the blocker itself acts. What changes a
//! grant counts at the directory at once, whoever does it; the other side gets the state of it when the block is lifted, or when
//! it asks. Where the block is not to be noticed, the answer is the one for a peer that is offline. What always holds: every
//! operation has a row, as a new one does not compile without.

use dos_protocol::{
    PeerId, PeerName, Reason, WireError,
    directory::{Op, Update},
};

use super::super::refusal::denied;

/// The blocks between a peer that acts and another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Between {
    /// The other one has blocked the peer that acts.
    pub(crate) by_other: bool,
    /// The peer that acts has blocked the other one.
    pub(crate) by_actor: bool,
}

impl Between {
    /// Whether neither has blocked the other.
    pub(crate) fn is_open(self) -> bool {
        !self.by_other && !self.by_actor
    }
}

/// What a peer does, as far as it concerns another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Sees to what is its own: its session, its password, its blocks, its side of grants and requests.
    Own,
    /// Looks at what is public in a directory: names of images and previews.
    Look,
    /// Asks who and where a peer is, or follows its presence.
    Find,
    /// Calls a peer, through the relay or by a rendezvous.
    Call,
    /// Sends a message, or greets an inviter or a guest.
    Write,
    /// Sends a text to all.
    Announce,
    /// Requests access.
    Ask,
    /// Withdraws its request.
    Withdraw,
    /// Answers a request.
    Answer,
    /// Gives a grant that was not there, or not any more.
    Give,
    /// Changes or revokes a grant that is there.
    Change,
    /// Spends views, or gives them back.
    Use,
    /// Replaces, renames or signs an image for which there are grants.
    Describe,
    /// Removes an image for which there are grants.
    Remove,
    /// Tells what it knows from before the directory's data was restored.
    Assert,
    /// Has stored a message that waited for it.
    Store,
}

/// What becomes of what a peer does across a block. Of two, the later one here is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The same as without a block.
    Done,
    /// It is done; the other side gets the state of the grant when the block is lifted.
    Later,
    /// It is done; the other side is told nothing of it.
    Untold,
    /// The other side seems to be offline, and never to have been seen.
    Offline,
    /// It is refused.
    Refused,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// When the blocked peer does it towards the blocker.
    pub(crate) by_blocked: Outcome,
    /// When the blocker does it towards the blocked peer.
    pub(crate) by_blocker: Outcome,
}

/// What kind of act an operation is. `share` is [`Act::Give`] where there is no live grant.
pub(crate) fn act(op: &Op) -> Act {
    match op {
        Op::Register(_)
        | Op::SignIn(_)
        | Op::Recover(_)
        | Op::Reclaim(_)
        | Op::SignOut
        | Op::SetPassword(_)
        | Op::PasswordStart(_)
        | Op::PasswordFinish(_)
        | Op::PasswordRemove
        | Op::LoginStart(_)
        | Op::LoginFinish(_)
        | Op::Grant { .. }
        | Op::Grants { .. }
        | Op::Requests { .. }
        | Op::CloseViews(_)
        | Op::Block(_)
        | Op::Unblock(_)
        | Op::Blocks
        | Op::BlocksPage { .. }
        | Op::Invite(_)
        | Op::RevokeInvite(_)
        | Op::Name(_)
        | Op::Unregister => Act::Own,
        Op::Image(_) | Op::Preview(_) => Act::Look,
        Op::List(_)
        | Op::Newest(_)
        | Op::Resolve(_)
        | Op::Contact(_)
        | Op::Identify(_)
        | Op::Subscribe(_)
        | Op::Follow(_) => Act::Find,
        Op::Relay(_) | Op::Rendezvous(_) => Act::Call,
        Op::Send(_) | Op::Greet(_) => Act::Write,
        Op::Broadcast(_) => Act::Announce,
        Op::Request(_) => Act::Ask,
        Op::Cancel(_) => Act::Withdraw,
        Op::Decide(_) => Act::Answer,
        Op::Share(_) => Act::Change,
        Op::Spend(_) | Op::Checkin(_) => Act::Use,
        Op::Publish(_) | Op::PublishAs(_) | Op::Rename { .. } | Op::Sign(_) | Op::Set(_) => Act::Describe,
        Op::Remove(_) => Act::Remove,
        Op::Assert(_) => Act::Assert,
    }
}

/// The table.
pub(crate) fn row(act: Act) -> Row {
    let both = |outcome| Row { by_blocked: outcome, by_blocker: outcome };
    match act {
        Act::Own | Act::Look => both(Outcome::Done),
        Act::Find | Act::Call => Row { by_blocked: Outcome::Offline, by_blocker: Outcome::Done },
        Act::Write | Act::Ask | Act::Answer | Act::Give => both(Outcome::Refused),
        Act::Announce | Act::Withdraw => both(Outcome::Untold),
        Act::Change | Act::Use | Act::Remove | Act::Assert => {
            Row { by_blocked: Outcome::Later, by_blocker: Outcome::Done }
        }
        Act::Describe => both(Outcome::Later),
        // The blocker learns what became of its own message; the blocked peer does not learn that the blocker is there.
        Act::Store => Row { by_blocked: Outcome::Done, by_blocker: Outcome::Untold },
    }
}

/// What becomes of an act between two peers.
pub(crate) fn outcome(act: Act, between: Between) -> Outcome {
    let Row { by_blocked, by_blocker } = row(act);
    let blocked = if between.by_other { by_blocked } else { Outcome::Done };
    let blocker = if between.by_actor { by_blocker } else { Outcome::Done };
    blocked.max(blocker)
}

/// Refuses what is not to be done towards `other`.
pub(crate) fn admit(
    act: Act,
    between: Between,
    (other, name): (PeerId, Option<&PeerName>),
) -> Result<(), WireError> {
    if outcome(act, between) != Outcome::Refused {
        return Ok(());
    }
    let who = name.map_or_else(|| other.to_string(), ToString::to_string);
    // A peer that has blocked the other one learns nothing of what the other one has done.
    Err(if between.by_actor {
        denied(format!("you have blocked {who}"), Reason::Blocked).hint(format!("dosctl unblock {who}"))
    } else {
        denied(format!("{who} takes nothing from you"), Reason::Blocked)
    })
}

/// What becomes of an update that an act causes for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It is owed.
    Owed,
    /// What it is about is noted, and owed when the block is lifted.
    Withheld,
    /// It comes to nothing.
    Dropped,
}

/// What becomes of an update that an act causes for the other side.
pub(crate) fn passage(act: Act, between: Between, update: &Update) -> Passage {
    match (outcome(act, between), update) {
        // A number of the inbox says nothing.
        (_, Update::Void) => Passage::Owed,
        // The operator stands behind no block.
        (_, Update::Operator(_)) => Passage::Owed,
        // Of requests nothing waits across a block: those that were pending ended with it.
        (_, Update::Request(_) | Update::Decision(_)) if !between.is_open() => Passage::Dropped,
        (Outcome::Done, _) => Passage::Owed,
        (Outcome::Later, Update::Grant(_) | Update::Viewed(_) | Update::Removed { .. }) => Passage::Withheld,
        (Outcome::Later, Update::Renamed { .. } | Update::Message(_) | Update::Delivered(_))
        | (Outcome::Later, Update::Greeting(_))
        | (Outcome::Later, Update::Request(_) | Update::Decision(_))
        | (Outcome::Untold | Outcome::Offline | Outcome::Refused, _) => Passage::Dropped,
    }
}

#[cfg(test)]
mod tests;
