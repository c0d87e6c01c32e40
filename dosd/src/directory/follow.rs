//! `follow`: what other peers show, and what they are called.

use dos_protocol::{
    PeerId,
    directory::{Answer, Follow},
    limits::FOLLOWED_MAX,
};

use super::Directory;
use crate::{rules::refusal::invalid, store::Refusal};

impl Directory {
    /// From now on what these do is pushed; what they have shown before comes with the answer.
    pub(super) async fn follow(&self, caller: PeerId, follow: Follow) -> Result<Answer, Refusal> {
        let Follow { peers, after } = follow;
        if peers.len() > FOLLOWED_MAX {
            return Err(invalid(format!("a session follows at most {FOLLOWED_MAX} peers")).into());
        }
        // First, so that nothing falls between the two.
        self.live.follow_peers(caller, peers.clone());
        let mut followed = self.store.followed(peers, after).await?;
        let hidden = self.live.hidden_from(caller);
        for peer in &mut followed.peers {
            self.set_presence(peer, &hidden);
        }
        Ok(Answer::Followed(followed))
    }
}
