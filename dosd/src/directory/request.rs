//! Requests: asked, withdrawn, answered.

use dos_protocol::{
    PeerId, Timestamp,
    directory::{Answer, Decide, Decision, RequestAccess},
};

use super::{Directory, check_text};
use crate::store::{Refusal, Wish};

impl Directory {
    pub(super) async fn ask(&self, viewer: PeerId, ask: RequestAccess) -> Result<Answer, Refusal> {
        check_text(ask.note.as_deref())?;
        let owner = self.owner_of(viewer, &ask.image).await?;
        let wish = Wish { views: ask.views, note: ask.note, now: Timestamp::now() };
        let asked = self.store.ask(viewer, owner, ask.image.name, wish).await?;
        Ok(Answer::Request(Box::new(asked)))
    }

    pub(super) async fn asks(&self, peer: PeerId, after: Option<u64>) -> Result<Answer, Refusal> {
        let (requests, more) = self.store.asks(peer, after).await?;
        Ok(Answer::Requests { requests, more })
    }

    pub(super) async fn cancel(&self, viewer: PeerId, request: u64) -> Result<Answer, Refusal> {
        Ok(Answer::Request(Box::new(self.store.cancel(viewer, request, Timestamp::now()).await?)))
    }

    pub(super) async fn decide(&self, owner: PeerId, decide: Decide) -> Result<Answer, Refusal> {
        if let Decision::Deny { reason } = &decide.decision {
            check_text(reason.as_deref())?;
        }
        let asked = self.store.decide(owner, decide.request, decide.decision, Timestamp::now()).await?;
        Ok(Answer::Request(Box::new(asked)))
    }
}
