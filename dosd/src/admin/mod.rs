//! The operator's door: what the operator's commands request from the running server, each in the file of its verb.
//!
//! The only module of the directory that names interprocess: `door` is the server's side of the socket, `client` the
//! commands'. Nothing here is reached from the network.

mod announce;
mod audit;
mod backup;
mod ban;
mod check;
mod client;
mod door;
mod invite;
mod kick;
mod link;
mod nodes;
mod password;
mod peers;
mod ping;
mod prune;
mod remove;
mod rename;
mod show;
mod shutdown;
mod stats;
mod takedown;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

pub use client::{Answers, AskError};
pub use door::AdminError;
pub(crate) use door::Door;
use dos_protocol::{
    Code, JoinLink, PeerId, Timestamp, WireError, admin::ToDosd, frame::FrameError, limits::TEXT_BYTES_MAX,
    model::PeerRef, name::printable,
};
pub(crate) use invite::INVITE_DRAWS;
pub(crate) use shutdown::{Plan, closing, due};
use tokio::sync::watch;

use self::door::Replies;
use crate::{
    directory::{Directory, outward},
    live::Hidden,
    store::{Acted, PeerRecord, Refusal},
};

/// Why a command gets no further replies.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// It went away.
    #[error(transparent)]
    Gone(#[from] FrameError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(outward(refusal))
    }
}

/// Performs the requests of the operator's commands.
#[derive(Debug)]
pub(crate) struct Operator {
    directory: Arc<Directory>,
    /// The join link, without an invite.
    link: JoinLink,
    /// When the server is to end.
    plan: watch::Sender<Option<Plan>>,
}

impl Operator {
    pub(crate) fn new(directory: Arc<Directory>, link: JoinLink, plan: watch::Sender<Option<Plan>>) -> Self {
        Self { directory, link, plan }
    }

    /// Does it and sends every reply but that of a failure.
    async fn operate(&self, request: ToDosd, replies: &mut Replies) -> Result<(), Stop> {
        match request {
            ToDosd::Link => self.link(replies).await,
            ToDosd::CreateInvite { uses, expires_ms, code } => {
                self.create_invite((uses, expires_ms, code), replies).await
            }
            ToDosd::Invites => self.invites(replies).await,
            ToDosd::RevokeInvite(code) => self.revoke_invite(code, replies).await,
            ToDosd::Peers { online } => self.peers(online, replies).await,
            ToDosd::Ping { whom, count } => self.ping(whom, count, replies).await,
            ToDosd::Kick { whom, reason } => self.kick(whom, reason, replies).await,
            ToDosd::Announce(text) => self.announce(&text, replies).await,
            ToDosd::Shutdown { in_ms, reason } => self.shutdown(in_ms, reason, replies).await,
            ToDosd::Backup(file) => self.backup(Path::new(&*file), replies).await,
            ToDosd::BackupAt(file) => self.backup(Path::new(OsStr::from_bytes(&file)), replies).await,
            ToDosd::Check => self.check(replies).await,
            ToDosd::Prune { peers_unseen_ms, receipts_older_ms, dry } => {
                self.prune(peers_unseen_ms, receipts_older_ms, dry, replies).await
            }
            ToDosd::Remove(peer) => self.remove(&peer, (false, None), replies).await,
            ToDosd::Ban { peer, reason } => self.remove(&peer, (true, reason), replies).await,
            ToDosd::Unban(peer) => self.unban(peer, replies).await,
            ToDosd::Bans => self.bans(replies).await,
            ToDosd::Show(peer) => self.show(&peer, replies).await,
            ToDosd::Rename { peer, name, reason } => self.rename(&peer, (name, reason), replies).await,
            ToDosd::TakeDown { owner, name, reason } => self.take_down(&owner, (name, reason), replies).await,
            ToDosd::Audit { limit } => self.audit(limit, replies).await,
            ToDosd::Nodes => self.nodes(replies).await,
            ToDosd::Stats => self.stats(replies).await,
            ToDosd::ClearPassword(peer) => self.clear_password(&peer, replies).await,
        }
    }

    /// The peer that is meant, which must be online.
    async fn online(&self, peer: &PeerRef) -> Result<PeerRecord, Stop> {
        let known = self.directory.find(None, peer).await?;
        if self.directory.live.is_online(known.id) {
            Ok(known)
        } else {
            Err(WireError::new(Code::Offline, format!("{peer} is not online")).into())
        }
    }

    /// A command that is done now.
    fn acted(command: &'static str, reason: Option<Box<str>>, replies: &Replies) -> Acted {
        Acted { user: replies.user(), at: Timestamp::now(), command, reason }
    }

    /// The join link, without an invite: with the addresses of all nodes, where there are several.
    fn join_link(&self) -> JoinLink {
        self.link.clone().at(self.directory.addresses())
    }

    /// Writes down a command that changes nothing in the store.
    async fn note(&self, acted: Acted, about: impl Into<String>) -> Result<(), Stop> {
        Ok(self.directory.store.note(acted, about.into()).await?)
    }

    /// All peers that are online now.
    fn all_online(&self) -> Vec<PeerId> {
        let live = &self.directory.live;
        let mut peers = live.online(&Hidden::default(), None, usize::MAX);
        // Of a session that has just ended the peer is still listed.
        peers.retain(|peer| live.is_online(*peer));
        peers
    }
}

/// Refuses what should not reach peers' screens.
fn check_text(text: &str) -> Result<(), Stop> {
    let why = if text.trim().is_empty() {
        "a text must not be empty".into()
    } else if text.len() > TEXT_BYTES_MAX {
        format!("a text has at most {TEXT_BYTES_MAX} bytes")
    } else if printable(text) != text {
        "a text must not have line breaks or other control characters".into()
    } else {
        return Ok(());
    };
    Err(WireError::new(Code::Invalid, why).into())
}

/// Whether the command waits for the server's end.
fn waits_for_end(request: &ToDosd) -> bool {
    matches!(request, ToDosd::Shutdown { in_ms: None, .. })
}

/// Sessions that one command deals with together.
const TOGETHER: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_and_of_one_line() {
        assert!(check_text("back at 10:00, a/b").is_ok());
        for bad in ["", " ", "a\nb", "a\u{1b}[2J", "a\u{202e}b", &"x".repeat(TEXT_BYTES_MAX + 1)] {
            assert!(check_text(bad).is_err(), "{bad:?}");
        }
    }
}
